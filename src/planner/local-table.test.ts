import { describe, expect, test } from "vitest";
import { unreachable } from "../lib/assert.ts";
import { parseOpId } from "../domain/ids.ts";
import type { Claim, Copy, DatasetRecord, Move } from "../domain/record.ts";
import { boots, fresh, nodes, ops } from "../domain/record-samples.ts";
import type { Identity } from "../domain/volume.ts";
import { desiredLocalOf } from "./local-desired.ts";
import { decideLocal, localTable } from "./local-table.ts";
import type { ObservedLocal } from "./observed.ts";

const [a, b] = [nodes[0] ?? fresh.primary, nodes[1] ?? fresh.primary];
const era = boots[0] ?? expect.unreachable();
const [createOp, moveOp] = [ops[0] ?? expect.unreachable(), ops[1] ?? expect.unreachable()];

const claimOf = (node: typeof a, generation: number): Claim => ({
  node,
  era,
  generation,
  phase: "taken",
  before: null,
});
const copy = (node: typeof a, role: Copy["role"], generation: number): Copy => ({
  node,
  role,
  generation,
});
const identity = (generation: number): Identity => ({
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the planner does not read it
  clusterId: "c" as Identity["clusterId"],
  datasetId: fresh.datasetId,
  lineage: fresh.lineage,
  generation,
});
const precopy: Move = { id: moveOp, source: a, target: b, phase: "precopy", generation: 4 };
const sealed: Move = { ...precopy, phase: "sealed" };

const onA: DatasetRecord = {
  ...fresh,
  poolKind: "local",
  generation: 4,
  claim: claimOf(a, 4),
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- any reference will do
  volume: { kind: "exists", ref: "v" as never, sizeBytes: 1 << 30 },
  formatted: "yes",
  copies: [copy(a, "live", 4)],
};

function decided(record: DatasetRecord, node: typeof a, see: ObservedLocal): string {
  const decision = decideLocal(desiredLocalOf(record, node, era), see);
  switch (decision.kind) {
    case "act":
      return decision.action.kind;
    case "report":
      return `says ${decision.report.kind}`;
    case "wait":
      return decision.condition.code;
    case "done":
      return "done";
    default:
      return unreachable(decision);
  }
}

test("every desired state has a cell for every observed one", () => {
  const rows = Object.values(localTable).map((row) => Object.keys(row).sort().join());
  expect(new Set(rows).size).toBe(1);
});

describe("a first copy", () => {
  const first: DatasetRecord = {
    ...onA,
    volume: { kind: "creating", op: createOp },
    formatted: "no",
    copies: [],
  };

  test("is made, said, called formatted, then shown", () => {
    const live: ObservedLocal = { kind: "live", identity: identity(0) };
    const made: DatasetRecord = { ...first, volume: onA.volume };

    expect(decided(first, a, { kind: "absent" })).toBe("create_live");
    expect(decided(first, a, live)).toBe("says volume_created");
    expect(decided(made, a, live)).toBe("says formatted");
    expect(decided({ ...made, formatted: "yes" }, a, live)).toBe("show_live");
    expect(decided({ ...made, formatted: "yes" }, a, { kind: "shown", holders: [] })).toBe("done");
  });

  test("is never made where one is missing", () => {
    expect(decided(onA, a, { kind: "absent" })).toBe("VOLUME_MISSING");
    expect(decided({ ...first, copies: onA.copies }, a, { kind: "absent" })).toBe("VOLUME_MISSING");
    expect(decided(onA, a, { kind: "pool_missing" })).toBe("POOL_MISSING");
  });

  test("is not used when the record knows of no volume", () => {
    const none: DatasetRecord = { ...onA, volume: { kind: "never" } };
    expect(decided(none, a, { kind: "live", identity: identity(0) })).toBe("VOLUME_MISSING");
  });

  test("is not used when it is newer than the claim or descends from something else", () => {
    const other = { ...identity(3), lineage: parseOpId("e0000000-0000-4000-8000-000000000001") };
    expect(decided(onA, a, { kind: "live", identity: identity(5) })).toBe("STALE_CLAIM");
    expect(decided(onA, a, { kind: "live", identity: other })).toBe("IDENTITY_MISMATCH");
  });
});

describe("a move", () => {
  const moving: DatasetRecord = { ...onA, move: precopy };
  const giving: DatasetRecord = {
    ...moving,
    claim: { ...claimOf(a, 4), phase: "releasing" },
  };
  test("leaves the source in use until its users are gone", () => {
    expect(decided(moving, a, { kind: "live", identity: identity(4) })).toBe("show_live");
    expect(decided(moving, b, { kind: "absent" })).toBe("receive_copy");
  });

  test("seals at the source: hidden, proved, said, and then waited for", () => {
    const pid = { pid: 7, command: "postgres", container: null };
    expect(decided(giving, a, { kind: "shown", holders: [pid] })).toBe("HELD");
    expect(decided(giving, a, { kind: "shown", holders: [] })).toBe("hide_live");
    expect(decided(giving, a, { kind: "live", identity: identity(4) })).toBe("seal_live");
    expect(decided(giving, a, { kind: "sealed", identity: identity(4) })).toBe("says sealed");
    const bound: DatasetRecord = { ...giving, move: sealed };
    expect(decided(bound, a, { kind: "sealed", identity: identity(4) })).toBe("WORKING");
  });

  test("is received at the target, a broken stream being thrown away first", () => {
    const last: DatasetRecord = { ...giving, move: sealed };
    expect(decided(last, b, { kind: "partial" })).toBe("discard_partial");
    expect(decided(last, b, { kind: "received", generation: 3 })).toBe("receive_copy");
    expect(decided(last, b, { kind: "received", generation: 4 })).toBe("says received");
    expect(decided(last, b, { kind: "received", generation: 5 })).toBe("STALE_CLAIM");
    expect(decided(last, b, { kind: "live", identity: identity(1) })).toBe("CLAIM_CONFLICT");
  });

  test("that is committed is promoted at the target, and the source keeps what it sealed", () => {
    const committed: DatasetRecord = {
      ...onA,
      claim: claimOf(b, 5),
      copies: [copy(b, "live", 5), copy(a, "fallback", 4)],
    };
    expect(decided(committed, b, { kind: "received", generation: 4 })).toBe("promote_received");
    expect(decided(committed, b, { kind: "live", identity: identity(4) })).toBe("show_live");
    expect(decided(committed, a, { kind: "sealed", identity: identity(4) })).toBe("done");
    const back: DatasetRecord = { ...committed, claim: claimOf(a, 6) };
    expect(decided(back, a, { kind: "live", identity: identity(4) })).toBe("VOLUME_MISSING");
    expect(decided(back, a, { kind: "sealed", identity: identity(4) })).toBe("VOLUME_MISSING");
  });

  test("that is aborted opens what the source sealed under the next generation, not under the old", () => {
    const aborted: DatasetRecord = { ...onA, claim: claimOf(a, 5) };
    expect(decided(aborted, a, { kind: "sealed", identity: identity(4) })).toBe("reopen_sealed");
    expect(decided(onA, a, { kind: "sealed", identity: identity(4) })).toBe("STALE_CLAIM");
    const target: DatasetRecord = { ...aborted, claim: claimOf(b, 6) };
    expect(decided(target, b, { kind: "received", generation: 4 })).toBe("VOLUME_MISSING");
  });

  test("of a copy that is not older than the claim is not promoted", () => {
    const odd: DatasetRecord = { ...onA, claim: claimOf(b, 4), copies: [copy(b, "live", 4)] };
    expect(decided(odd, b, { kind: "received", generation: 4 })).toBe("STALE_CLAIM");
  });
});

describe("the end of a copy", () => {
  const gone: DatasetRecord = {
    ...onA,
    claim: null,
    volume: { kind: "gone" },
    deletion: { atMs: 1, reclaim: "delete", phase: "gone" },
    copies: [copy(a, "fallback", 4)],
  };

  test("comes to what is spare and known, and is said", () => {
    expect(decided(gone, a, { kind: "sealed", identity: identity(4) })).toBe("discard_copy");
    expect(decided(gone, a, { kind: "received", generation: 4 })).toBe("discard_copy");
    expect(decided(gone, a, { kind: "partial" })).toBe("discard_partial");
    expect(decided(gone, a, { kind: "absent" })).toBe("says discarded");
  });

  test("does not come to what is newer than the record knows, live or diverged", () => {
    expect(decided(gone, a, { kind: "sealed", identity: identity(5) })).toBe("CLAIM_CONFLICT");
    expect(decided(gone, a, { kind: "live", identity: identity(4) })).toBe("CLAIM_CONFLICT");
    const parted: DatasetRecord = { ...gone, copies: [copy(a, "diverged", 4)] };
    expect(decided(parted, a, { kind: "diverged", generation: 4 })).toBe("CLAIM_CONFLICT");
    expect(decided(parted, a, { kind: "sealed", identity: identity(4) })).toBe("CLAIM_CONFLICT");
  });
});
