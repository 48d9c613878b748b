import {
  type Arbitrary,
  array,
  boolean,
  constant,
  constantFrom,
  nat,
  oneof,
  option,
  record as recordOf,
} from "fast-check";
import { boots, fresh, nodes, ops, refs } from "../domain/record-samples.ts";
import type { Device, Holder, Identity, Volume } from "../domain/volume.ts";
import { parseClusterId } from "../domain/ids.ts";
import type { ObservedAttachable } from "./observed.ts";

const node = constantFrom(...nodes);
const generation = nat(8);

const volume: Arbitrary<Volume> = recordOf({
  ref: constantFrom(...refs),
  datasetId: constant(fresh.datasetId),
  op: constantFrom(...ops),
  sizeBytes: constant(1 << 30),
  attachedTo: option(recordOf({ node, era: constantFrom(...boots), generation }), {
    nil: null,
  }),
});

const device: Arbitrary<Device> = recordOf({
  path: constantFrom("/dev/loop1", "/dev/loop2"),
  diskSequence: nat(9),
});

export const identities: Arbitrary<Identity> = recordOf({
  clusterId: constant(parseClusterId("f0000000-0000-4000-8000-000000000001")),
  datasetId: constant(fresh.datasetId),
  lineage: constantFrom(fresh.lineage, ...ops),
  generation,
});

export const someHolders: Arbitrary<readonly Holder[]> = array(
  recordOf({
    pid: option(nat(9), { nil: null }),
    command: option(constant("postgres"), { nil: null }),
    container: option(constant("c0ffee".repeat(8)), { nil: null }),
  }),
  { maxLength: 3 },
);

/** Anything that a node can see of a dataset of an attachable pool. */
export const observations: Arbitrary<ObservedAttachable> = oneof(
  recordOf({ kind: constant("unknown"), reason: constant("no answer"), busy: boolean() }),
  recordOf({ kind: constant("absent") }),
  recordOf({
    kind: constant("duplicate"),
    volumes: array(volume, { minLength: 2, maxLength: 3 }),
  }),
  recordOf({ kind: constant("detached"), volume }),
  recordOf({ kind: constant("elsewhere"), volume, node }),
  recordOf({ kind: constant("stale"), volume }),
  recordOf({ kind: constant("blank"), volume, device }),
  recordOf({ kind: constant("partial"), volume, device }),
  recordOf({ kind: constant("ready"), volume, device, identity: identities }),
  recordOf({
    kind: constant("foreign"),
    volume,
    device,
    detail: constant("it holds garbage"),
  }),
  recordOf({ kind: constant("held"), holders: someHolders }),
  recordOf({ kind: constant("mounted") }),
  recordOf({ kind: constant("shown"), holders: someHolders }),
);
