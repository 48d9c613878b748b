import { expect, test } from "vitest";
import { parseOpId, parseVolumeRef } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { assert } from "../../lib/assert.ts";
import type { ControlCore } from "./control-core.ts";
import { a, b, c, coreOf, helloOf, uuid } from "./test-core.ts";

function recordOf(core: ControlCore): DatasetRecord {
  const [record] = core.state.records.values();
  assert(record !== undefined, "there is one dataset");
  return record;
}

/** A volume that `a` has by the record; `b` is another node of the cluster, perhaps given up. */
function heldByA(bGivenUp: boolean): ControlCore {
  const core = coreOf();
  core.receive("b1", helloOf(b, 30), 1);
  if (bGivenUp) {
    core.disconnected("b1", 1);
    core.declareDead(b, false, 1);
  }
  core.receive("a1", helloOf(a, 20), 1);
  const options = { maximumSizeBytes: null, pool: null, fileSystem: null, reclaim: null };
  const { datasetId } = core.create({ datasetId: null, primary: a, metadata: {}, ...options }, 2);
  const { volume } = recordOf(core);
  const op = volume.kind === "creating" ? volume.op : parseOpId(uuid(9));
  const created = { kind: "volume_created", op, ref: parseVolumeRef("v1"), sizeBytes: 1 } as const;
  core.receive("a1", { kind: "report", datasetId, report: created }, 3);
  core.receive("a1", { kind: "taken", datasetId, generation: 1 }, 3);
  return core;
}

function sayElsewhere(core: ControlCore, node: typeof a): void {
  const { datasetId, generation } = recordOf(core);
  core.receive("a1", { kind: "attached_elsewhere", datasetId, generation, node }, 4);
}

test("a node cleans up what is attached to it without a claim, before anybody else is granted", () => {
  const core = heldByA(false);
  sayElsewhere(core, b);
  expect(recordOf(core)).toMatchObject({ claim: null, residue: b, op: null });

  const { datasetId } = recordOf(core);
  core.receive("b1", { kind: "report", datasetId, report: { kind: "cleared" } }, 5);
  expect(recordOf(core)).toMatchObject({ claim: { node: a, generation: 2 }, residue: null });
});

test("what is attached to a node that a person gave up is taken from it by force", () => {
  const core = heldByA(true);
  sayElsewhere(core, b);
  const executor = { node: a };
  const op = { kind: "force_detach", target: b, executor };
  expect(recordOf(core)).toMatchObject({ claim: null, residue: null, superseded: [b], op });
});

test("an attachment to a node that nobody knows, or to the holder itself, ends no claim", () => {
  const core = heldByA(false);
  for (const node of [c, a]) sayElsewhere(core, node);
  expect(recordOf(core).claim).toMatchObject({ node: a, generation: 1 });
});

test("an op whose executor vanished at an instant that is still to come waits from the start on", () => {
  const before = heldByA(true);
  sayElsewhere(before, b);
  const record = recordOf(before);
  const op = record.op === null ? null : { ...record.op, vanishedAtMs: 10_000_000 };
  const core = coreOf({ records: [{ ...record, op }], nodes: [...before.state.nodes.values()] });
  core.receive("a2", { ...helloOf(a, 20), instance: uuid(99) }, 1);
  core.tick(999);
  expect(recordOf(core).op?.vanishedAtMs).toBe(10_000_000);

  core.tick(1_000);
  expect(recordOf(core).op).toMatchObject({ executor: { node: a }, vanishedAtMs: null });
});
