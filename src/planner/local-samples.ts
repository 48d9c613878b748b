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
  tuple,
} from "fast-check";
import { nodes, ops, records } from "../domain/record-samples.ts";
import type { Copy, DatasetRecord, Move } from "../domain/record.ts";
import type { ObservedLocal } from "./observed.ts";
import { identities, someHolders } from "./observed-samples.ts";

const generation = nat(8);

const moves: Arbitrary<Move> = recordOf({
  id: constantFrom(...ops),
  source: constantFrom(...nodes),
  target: constantFrom(...nodes),
  phase: constantFrom("precopy", "copied", "sealed"),
  generation,
  openedAtMs: constant(1),
});

const copies: Arbitrary<readonly Copy[]> = array(
  recordOf({
    node: constantFrom(...nodes),
    role: constantFrom("live", "fallback", "replica", "diverged"),
    generation,
    sinceMs: constant(1),
    settled: boolean(),
    discarding: boolean(),
  }),
  { maxLength: 3 },
);

/** A record that random events lead to, with moves and copies that no event makes yet. */
export const localRecords: Arbitrary<DatasetRecord> = tuple(
  records,
  option(moves, { nil: null }),
  copies,
).map(([record, move, all]) => ({ ...record, poolKind: "local", move, copies: all }));

/** Anything that a node can see of a dataset of a local pool. */
export const localObservations: Arbitrary<ObservedLocal> = oneof(
  recordOf({ kind: constant("unknown"), reason: constant("no answer"), busy: boolean() }),
  recordOf({ kind: constant("pool_missing") }),
  recordOf({ kind: constant("absent") }),
  recordOf({ kind: constant("partial"), move: constantFrom(...ops) }),
  recordOf({ kind: constant("base"), move: constantFrom(...ops) }),
  recordOf({ kind: constant("received"), identity: identities, move: constantFrom(...ops) }),
  recordOf({ kind: constant("live"), identity: identities }),
  recordOf({
    kind: constant("sealed"),
    identity: identities,
    move: constantFrom(...ops),
    changed: boolean(),
  }),
  recordOf({ kind: constant("diverged"), identity: identities }),
  recordOf({
    kind: constant("parted"),
    identity: identities,
    received: option(constantFrom(...ops), { nil: null }),
  }),
  recordOf({ kind: constant("foreign"), detail: constant("it holds garbage") }),
  recordOf({ kind: constant("held"), holders: someHolders }),
  recordOf({ kind: constant("shown"), holders: someHolders }),
);
