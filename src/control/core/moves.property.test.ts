import { array, assert, constantFrom, property, record as recordOf } from "fast-check";
import { expect, test } from "vitest";
import type { NodeId } from "../../domain/ids.ts";
import { copyOf, desiredLocalOf } from "../../planner/local-desired.ts";
import { liveCopy } from "../../domain/record.ts";
import { a, b, c, LocalBed } from "./test-core.ts";

const nodes = [a, b, c];
const steps = [
  "order",
  "wish",
  "wish_ended",
  "works",
  "works",
  "works",
  "disconnect",
  "hello",
  "reboot",
  "declare_dead",
  "tick",
] as const;
type Step = { readonly kind: (typeof steps)[number]; readonly node: NodeId };
const histories = array(recordOf({ kind: constantFrom(...steps), node: constantFrom(...nodes) }), {
  maxLength: 40,
});

/** One thing that an agent without users does about what it was told; false when it has nothing. */
function works(bed: LocalBed, node: NodeId): boolean {
  const session = bed.core.state.sessionOf(node);
  const entry = bed.told(node);
  if (session === null || entry === null) return false;
  const { record } = entry;
  const want = desiredLocalOf(record, node, session.era);
  switch (want.kind) {
    case "use":
      return uses(bed, node);
    case "release":
      bed.released(node);
      return true;
    case "seal":
      if (want.move.phase === "sealed") return false;
      bed.seal(node);
      return true;
    case "receive":
      if (want.move.phase === "copied" || entry.peer === null) return false;
      bed.report(node, {
        kind: want.move.phase === "precopy" ? "copied" : "received",
        move: want.move.id,
      });
      return true;
    case "discard":
      bed.report(node, { kind: "discarded" });
      return true;
    case "cut":
      bed.report(node, { kind: "cut_done" });
      return true;
    case "operate":
      bed.report(node, { kind: "op_done", op: want.op.id });
      return true;
    case "diverge":
    case "nothing":
    case "unknown":
    default:
      return false;
  }
}

function uses(bed: LocalBed, node: NodeId): boolean {
  const { claim } = bed.record;
  if (claim?.phase === "granted") {
    bed.take(node);
    return true;
  }
  if (copyOf(bed.record, node)?.settled === false) {
    bed.report(node, { kind: "settled" });
    return true;
  }
  const entry = bed.told(node);
  if (entry?.wantedBy === null && entry.record.deletion === null) return false;
  bed.release(node);
  return true;
}

function take(bed: LocalBed, { kind, node }: Step): void {
  const isHere = bed.core.state.sessionOf(node) !== null;
  switch (kind) {
    case "order":
      return bed.order(node);
    case "wish":
      return isHere ? bed.wish(node, 20_000) : undefined;
    case "wish_ended":
      return isHere ? bed.say(node, { kind, datasetId: bed.id }) : undefined;
    case "works":
      return void works(bed, node);
    case "disconnect":
      return isHere ? bed.disconnect(node) : undefined;
    case "hello":
      return isHere ? undefined : bed.hello(node);
    case "reboot":
      return bed.reboot(node);
    case "declare_dead":
      return isHere ? undefined : bed.declareDead(node);
    case "tick":
    default:
      return bed.tick(30_000);
  }
}

function checkLaws(bed: LocalBed): void {
  const { claim, move, copies } = bed.record;
  const live = liveCopy(bed.record);
  expect(live).not.toBeNull();
  if (claim !== null) expect(claim.node).toBe(live?.node);
  if (move !== null) expect(move.source).toBe(live?.node);
  if (move?.phase === "sealed") expect(claim).toBeNull();
  // Told the same as recorded: nobody but the holder acts as one.
  const users = nodes.filter((node) => {
    const session = bed.core.state.sessionOf(node);
    if (session === null) return false;
    return desiredLocalOf(bed.told(node)?.record, node, session.era).kind === "use";
  });
  expect(users.length).toBeLessThanOrEqual(1);
  expect(copies.filter(({ role }) => role === "live")).toHaveLength(1);
}

function settle(bed: LocalBed): void {
  for (let turns = 0; turns < 200; turns += 1) {
    const busy = nodes.map((node) => works(bed, node)).some(Boolean);
    checkLaws(bed);
    if (!busy) bed.tick(15_000);
  }
}

test("whatever happens, one node at most uses a dataset, and it is the live copy's", () => {
  assert(
    property(histories, (history) => {
      const bed = new LocalBed().heldByA();
      for (const step of history) {
        take(bed, step);
        checkLaws(bed);
      }
    }),
    { numRuns: 150 },
  );
});

test("once all are back and nobody asks for more, the dataset is where it was ordered last", () => {
  assert(
    property(histories, constantFrom(...nodes), (history, last) => {
      const bed = new LocalBed().heldByA();
      for (const step of history) take(bed, step);
      for (const node of nodes) take(bed, { kind: "hello", node });
      // The order comes at whatever instant: nobody else asks, but a move of a wish may be open.
      for (const node of nodes) take(bed, { kind: "wish_ended", node });
      bed.order(last);
      settle(bed);
      expect(bed.record).toMatchObject({ move: null, claim: { node: last }, primary: last });
      expect(bed.record.copies.filter(({ discarding }) => discarding)).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
