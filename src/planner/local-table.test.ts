import { describe, expect, test } from "vitest";
import { parseOpId } from "../domain/ids.ts";
import type { Claim, Copy, DatasetRecord, Move } from "../domain/record.ts";
import { boots, fresh, nodes, ops } from "../domain/record-samples.ts";
import { desiredLocalOf } from "./local-desired.ts";
import { decideLocal, localTable } from "./local-table.ts";
import type { ObservedLocal } from "./observed.ts";
import { identityOf, textOf } from "./test-decision.ts";

const [a, b] = nodes;
const [era] = boots;
const [createOp, moveOp, otherOp] = ops;

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
  sinceMs: 1,
  settled: true,
  discarding: false,
});
const precopy: Move = {
  id: moveOp,
  source: a,
  target: b,
  phase: "precopy",
  generation: 4,
  openedAtMs: 1,
};
const copied: Move = { ...precopy, phase: "copied" };
const sealed: Move = { ...precopy, phase: "sealed" };
const sealedAs = (generation: number): ObservedLocal => ({
  kind: "sealed",
  identity: identityOf(generation),
  move: moveOp,
  changed: false,
});
const receivedAs = (generation: number): ObservedLocal => ({
  kind: "received",
  identity: identityOf(generation),
  move: moveOp,
});
const asSealed = {
  kind: "sealed",
  identity: identityOf(4),
  move: moveOp,
  changed: false,
} as const;
const partial: ObservedLocal = { kind: "partial", move: moveOp };

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
  return textOf(decideLocal(desiredLocalOf(record, node, era), see));
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
    const live: ObservedLocal = { kind: "live", identity: identityOf(0) };
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
    const none: DatasetRecord = { ...onA, volume: { kind: "never" }, copies: [] };
    expect(decided(none, a, { kind: "live", identity: identityOf(0) })).toBe("VOLUME_MISSING");
  });

  test("is not used when it is newer than the claim or descends from something else", () => {
    const other = { ...identityOf(3), lineage: parseOpId("e0000000-0000-4000-8000-000000000001") };
    expect(decided(onA, a, { kind: "live", identity: identityOf(5) })).toBe("STALE_CLAIM");
    expect(decided(onA, a, { kind: "live", identity: other })).toBe("IDENTITY_MISMATCH");
  });
});

describe("a move", () => {
  const moving: DatasetRecord = { ...onA, move: precopy };
  const giving: DatasetRecord = {
    ...onA,
    move: copied,
    claim: { ...claimOf(a, 4), phase: "releasing" },
  };
  const bound: DatasetRecord = { ...onA, claim: null, move: sealed };

  test("leaves the source in use until its users are gone, while the bulk goes over", () => {
    expect(decided(moving, a, { kind: "live", identity: identityOf(4) })).toBe("show_live");
    expect(decided({ ...moving, move: copied }, a, { kind: "shown", holders: [] })).toBe("done");
    expect(decided(moving, b, { kind: "absent" })).toBe("receive_copy");
    expect(decided(moving, b, { kind: "base", move: moveOp })).toBe("says copied");
    const waiting: DatasetRecord = { ...moving, move: copied };
    expect(decided(waiting, b, { kind: "base", move: moveOp })).toBe("WAITING_FOR_RELEASE");
  });

  test("is not sealed while its bulk is on the way, also when the claim is given back", () => {
    const early: DatasetRecord = { ...giving, move: precopy };
    expect(decided(early, a, { kind: "live", identity: identityOf(4) })).toBe("says released");
  });

  test("seals at the source: hidden, proved, said, and then waited for", () => {
    const pid = { pid: 7, command: "postgres", container: null };
    expect(decided(giving, a, { kind: "shown", holders: [pid] })).toBe("HELD");
    expect(decided(giving, a, { kind: "held", holders: [pid] })).toBe("HELD");
    expect(decided(giving, a, { kind: "shown", holders: [] })).toBe("hide_live");
    expect(decided(giving, a, { kind: "live", identity: identityOf(4) })).toBe("seal_live");
    expect(decided(giving, a, sealedAs(4))).toBe("says sealed");
    expect(decided(bound, a, sealedAs(4))).toBe("WORKING");
  });

  test("of a dataset that nobody holds seals as well, also what nobody used since the last move", () => {
    const idle: DatasetRecord = { ...onA, claim: null, move: copied };
    expect(decided(idle, a, { kind: "live", identity: identityOf(4) })).toBe("seal_live");
    expect(decided(idle, a, receivedAs(4))).toBe("promote_received");
    expect(decided(idle, a, receivedAs(3))).toBe("VOLUME_LOST_CONTENT");
  });

  test("makes what nobody used since the last move live for its bulk, and seals only after it", () => {
    const idle: DatasetRecord = { ...onA, claim: null, move: precopy };
    expect(decided(idle, a, receivedAs(4))).toBe("promote_received");
    expect(decided(idle, a, { kind: "live", identity: identityOf(4) })).toBe("done");
    expect(decided(idle, a, sealedAs(4))).toBe("done");
  });

  test("seals again what was written to after the seal, or was sealed for another move", () => {
    expect(decided(bound, a, { ...asSealed, changed: true })).toBe("seal_live");
    expect(decided(bound, a, { ...asSealed, move: otherOp })).toBe("seal_live");
  });

  test("is received at the target, what another move left being thrown away first", () => {
    expect(decided(bound, b, { kind: "partial", move: otherOp })).toBe("discard_partial");
    expect(decided(bound, b, { kind: "partial", move: moveOp })).toBe("receive_copy");
    expect(decided(bound, b, { kind: "base", move: moveOp })).toBe("receive_copy");
    expect(decided(bound, b, receivedAs(4))).toBe("says received");
    expect(decided(bound, b, { kind: "absent" })).toBe("receive_copy");
  });

  test("puts a live volume aside that the record does not know at the target", () => {
    expect(decided(bound, b, { kind: "live", identity: identityOf(1) })).toBe("diverge_live");
    expect(decided(bound, b, { kind: "diverged", identity: identityOf(1) })).toBe("receive_copy");
  });

  test("that is committed is promoted at the target, and the source keeps what it sealed", () => {
    const committed: DatasetRecord = {
      ...onA,
      generation: 5,
      claim: claimOf(b, 5),
      copies: [{ ...copy(b, "live", 4), settled: false }, copy(a, "fallback", 4)],
    };
    expect(decided(committed, b, receivedAs(4))).toBe("promote_received");
    expect(decided(committed, b, receivedAs(3))).toBe("VOLUME_LOST_CONTENT");
    expect(decided(committed, b, { kind: "live", identity: identityOf(4) })).toBe("says settled");
    const settled = { ...committed, copies: [copy(b, "live", 4), copy(a, "fallback", 4)] };
    expect(decided(settled, b, { kind: "live", identity: identityOf(4) })).toBe("show_live");
    expect(decided(committed, a, sealedAs(4))).toBe("done");
    const back: DatasetRecord = { ...committed, claim: claimOf(a, 6) };
    expect(decided(back, a, { kind: "live", identity: identityOf(4) })).toBe("VOLUME_MISSING");
    expect(decided(back, a, sealedAs(4))).toBe("VOLUME_MISSING");
  });

  test("that is aborted opens what the source sealed under the next generation, not under the old", () => {
    const aborted: DatasetRecord = { ...onA, claim: claimOf(a, 5) };
    expect(decided(aborted, a, sealedAs(4))).toBe("reopen_sealed");
    expect(decided(onA, a, sealedAs(4))).toBe("STALE_CLAIM");
    const target: DatasetRecord = { ...aborted, claim: claimOf(b, 6) };
    expect(decided(target, b, receivedAs(4))).toBe("VOLUME_MISSING");
  });
});

describe("the end of a copy", () => {
  const spare: DatasetRecord = {
    ...onA,
    claim: claimOf(b, 5),
    copies: [copy(b, "live", 4), { ...copy(a, "fallback", 4), discarding: true }],
  };

  test("comes to what is spare, and is said", () => {
    expect(decided(spare, a, sealedAs(4))).toBe("discard_copy");
    expect(decided(spare, a, receivedAs(4))).toBe("discard_copy");
    expect(decided(spare, a, partial)).toBe("discard_copy");
    expect(decided(spare, a, { kind: "absent" })).toBe("says discarded");
  });

  test("by a destruction does not come to what was used after the record, sealed or not", () => {
    const executor = { node: a, era, session: 1 };
    const op = {
      id: createOp,
      kind: "destroy",
      target: null,
      executor,
      vanishedAtMs: null,
    } as const;
    const purged: DatasetRecord = { ...onA, claim: null, generation: 5, op };
    for (const see of [sealedAs, receivedAs]) {
      expect(decided(purged, a, see(5))).toBe("destroy_copies");
      expect(decided(purged, a, see(6))).toBe("STALE_CLAIM");
    }
  });

  test("does not come to what is live or diverged", () => {
    expect(decided(spare, a, { kind: "live", identity: identityOf(4) })).toBe("CLAIM_CONFLICT");
    expect(decided(spare, a, { kind: "diverged", identity: identityOf(4) })).toBe("says discarded");
  });

  test("another one was made live without is put aside, whole", () => {
    const parted: DatasetRecord = {
      ...onA,
      claim: claimOf(b, 5),
      copies: [copy(b, "live", 3), copy(a, "diverged", 4)],
    };
    expect(decided(parted, a, { kind: "live", identity: identityOf(4) })).toBe("diverge_live");
    expect(decided(parted, a, sealedAs(4))).toBe("diverge_live");
    expect(decided(parted, a, { kind: "diverged", identity: identityOf(4) })).toBe("done");
  });
});
