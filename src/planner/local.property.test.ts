import {
  assert,
  constantFrom,
  nat,
  type Arbitrary,
  oneof,
  property,
  sample,
  tuple,
} from "fast-check";
import { describe, expect, test } from "vitest";
import { conditionCodes } from "../domain/condition.ts";
import { boots, fresh, nodes, ops } from "../domain/record-samples.ts";
import type { Claim, DatasetRecord } from "../domain/record.ts";
import type { LocalAction, LocalActionKind, LocalDecision } from "./local-action.ts";
import { type DesiredLocal, desiredLocalOf, roleOf } from "./local-desired.ts";
import { localObservations, localRecords } from "./local-samples.ts";
import { decideLocal } from "./local-table.ts";
import type { ObservedLocal } from "./observed.ts";
import { wayOut } from "./test-decision.ts";

const wishes: Arbitrary<DesiredLocal> = oneof(
  {
    weight: 9,
    arbitrary: tuple(localRecords, constantFrom(...nodes), constantFrom(...boots), nat(9)).map(
      ([record, node, boot, number]) => {
        const { claim, op } = record;
        const about = number < 5 ? claim : (op?.executor ?? null);
        return desiredLocalOf(record, about?.node ?? node, about?.era ?? boot);
      },
    ),
  },
  { weight: 1, arbitrary: constantFrom<DesiredLocal>({ kind: "nothing" }, { kind: "unknown" }) },
);

function always(
  law: (want: DesiredLocal, see: ObservedLocal, decision: LocalDecision) => void,
): void {
  assert(
    property(wishes, localObservations, (want, see) => law(want, see, decideLocal(want, see))),
    { numRuns: 300 },
  );
}

function alwaysActing(
  law: (action: LocalAction, want: DesiredLocal, see: ObservedLocal) => void,
  ...kinds: readonly LocalActionKind[]
): void {
  always((want, see, decision) => {
    if (decision.kind !== "act") return;
    if (kinds.length === 0 || kinds.includes(decision.action.kind)) {
      law(decision.action, want, see);
    }
  });
}

describe("a local copy", () => {
  test("is made, reopened and shown only under a claim for use, and promoted to be sealed as well", () => {
    alwaysActing(
      (action, want) => {
        if (want.kind === "seal" && action.kind === "promote_received") {
          // Made live for its bulk to be sent, while nobody holds it; or to be sealed.
          return expect(want.move.phase === "copied" || want.record.claim === null).toBe(true);
        }
        if (want.kind !== "use") return expect.unreachable();
        expect(action.generation).toBe(want.claim.generation);
      },
      "create_live",
      "promote_received",
      "reopen_sealed",
      "show_live",
    );
  });

  test("is made once, and only while no node was ever said to have one", () => {
    alwaysActing((action, want, see) => {
      if (want.kind !== "use") return expect.unreachable();
      expect(see.kind).toBe("absent");
      expect(want.record.volume).toMatchObject({ kind: "creating" });
      expect(want.record.copies).toEqual([]);
      expect(action.kind).toBe("create_live");
    }, "create_live");
  });

  test("is shown only if it is the live one, of the right descent, and not newer than the claim", () => {
    alwaysActing(
      (action, want, see) => {
        if (want.kind === "seal") return expect(action.kind).toBe("promote_received");
        if (want.kind !== "use") return expect.unreachable();
        const { record, claim } = want;
        const role = roleOf(record, claim.node);
        if (record.copies.length > 0) expect(role).toBe("live");
        if (see.kind !== "live" && see.kind !== "sealed" && see.kind !== "received") return;
        const known = record.copies.find((one) => one.node === claim.node && one.role === "live");
        expect(see.identity.generation).toBeGreaterThanOrEqual(known?.generation ?? 0);
        if (see.kind === "received") {
          expect(see.identity.generation).toBeLessThan(claim.generation);
        }
        expect(see.identity.lineage).toBe(record.lineage);
        expect(see.identity.generation).toBeLessThanOrEqual(claim.generation);
        if (action.kind === "show_live") expect(record.formatted).toBe("yes");
      },
      "promote_received",
      "reopen_sealed",
      "show_live",
    );
  });

  test("that was sealed opens again only under a newer generation", () => {
    alwaysActing((_, want, see) => {
      if (want.kind !== "use" || see.kind !== "sealed") return expect.unreachable();
      expect(see.identity.generation).toBeLessThan(want.claim.generation);
    }, "reopen_sealed");
  });

  test("that diverged is neither used nor removed, whatever is wanted", () => {
    always((want, see, decision) => {
      if (see.kind !== "diverged" && see.kind !== "parted") return;
      // A receive goes beside it, and leaves it as it is.
      const harmless = see.kind === "parted" ? "diverge_live" : "receive_copy";
      if (decision.kind === "act") expect(decision.action.kind).toBe(harmless);
      const speaks = want.kind !== "nothing" && want.kind !== "unknown";
      if (speaks && decision.kind === "done") expect(want.kind).toBe("diverge");
    });
  });

  test("that is live is never discarded, and only the dataset's own op destroys it", () => {
    alwaysActing((action, want, see) => {
      expect(see.kind).not.toBe("live");
      expect(action.kind).toBe("discard_copy");
      expect(want.kind).toBe("discard");
    }, "discard_copy");
    alwaysActing((action, want) => {
      if (want.kind !== "operate") return expect.unreachable();
      expect(want.op).toMatchObject({ kind: "destroy", id: "op" in action ? action.op : null });
    }, "destroy_copies");
  });

  test("that is not ours, or half received, is never mounted or sealed", () => {
    alwaysActing(
      (_, _want, see) => {
        expect(["foreign", "partial", "absent", "unknown", "pool_missing"]).not.toContain(see.kind);
      },
      "promote_received",
      "reopen_sealed",
      "show_live",
      "seal_live",
    );
  });
});

describe("a move", () => {
  test("seals only at its source, only what is live there, with no user left", () => {
    alwaysActing((action, want, see) => {
      if (want.kind !== "seal") return expect.unreachable();
      if (see.kind === "sealed") expect(see.changed || see.move !== want.move.id).toBe(true);
      else expect(see.kind).toBe("live");
      const generation = want.record.claim?.generation ?? null;
      expect(action).toMatchObject({ move: want.move.id, generation });
    }, "seal_live");
  });

  test("is received only at its target, never over a live copy", () => {
    alwaysActing((action, want, see) => {
      if (want.kind !== "receive") return expect.unreachable();
      expect(action).toMatchObject({ move: want.move });
      expect(["absent", "partial", "base", "sealed", "diverged"]).toContain(see.kind);
    }, "receive_copy");
  });

  test("once it is sealed, nobody mounts before it is decided, not even the source with its claim", () => {
    assert(
      property(localRecords, localObservations, constantFrom(...nodes), (some, see, node) => {
        const claim: Claim = {
          node,
          era: boots[0],
          generation: 9,
          phase: "taken",
          before: null,
        };
        const move = {
          id: ops[0],
          source: node,
          target: nodes[0],
          phase: "sealed",
          generation: 9,
          openedAtMs: 1,
        } as const;
        const record: DatasetRecord = { ...some, superseded: [], claim, move };
        const want = desiredLocalOf(record, node, claim.era);
        const decision = decideLocal(want, see);

        expect(want.kind).toBe("seal");
        if (decision.kind !== "act") return;
        expect(["seal_live", "hide_live"]).toContain(decision.action.kind);
      }),
    );
  });
});

describe("every decision", () => {
  test("takes nothing from under a user", () => {
    alwaysActing(
      (_, want, see) => {
        if (see.kind === "shown") expect(see.holders).toEqual([]);
        expect(see.kind).not.toBe("held");
        expect(want.kind).not.toBe("use");
      },
      "hide_live",
      "seal_live",
      "discard_copy",
      "destroy_copies",
    );
  });

  test("is to do nothing but say why, where nothing could be looked at", () => {
    always((want, see, decision) => {
      if (see.kind !== "unknown") return;
      const idle = want.kind === "nothing" || want.kind === "unknown";
      expect(decision.kind).toBe(idle ? "done" : "wait");
    });
  });

  test("names the record's dataset and pool, and is the same for the same question", () => {
    always((want, see, decision) => {
      const text = JSON.stringify([want, see]);
      expect(decideLocal(want, see)).toEqual(decision);
      expect(JSON.stringify([want, see])).toBe(text);
      if (decision.kind !== "act") return;
      if (!("record" in want)) return expect.unreachable();
      const { datasetId, pool } = want.record;
      expect(decision.action).toMatchObject({ datasetId, pool });
    });
  });

  test("that waits for a person says what to do", () => {
    always((_, __, decision) => {
      if (decision.kind !== "wait") return;
      const { code, message } = decision.condition;
      if (conditionCodes[code] === "error") expect(message).toMatch(wayOut);
    });
  });

  test("says released, sealed or received only with nothing mounted or held here", () => {
    always((_, see, decision) => {
      if (decision.kind !== "report") return;
      expect(["unknown", "held", "shown"]).not.toContain(see.kind);
      if (decision.report.kind === "sealed") expect(see.kind).toBe("sealed");
      if (decision.report.kind === "received") expect(see.kind).toBe("received");
      if (decision.report.kind === "discarded") {
        expect(["absent", "diverged"]).toContain(see.kind);
      }
    });
  });
});

test("without a record, or for another node, nothing is wanted", () => {
  const [a, b, c] = nodes;
  const [boot] = boots;
  if (a === undefined || b === undefined || c === undefined || boot === undefined) {
    return expect.unreachable();
  }
  expect(desiredLocalOf(undefined, a, boot)).toEqual({ kind: "nothing" });
  expect(desiredLocalOf(fresh, b, boot)).toEqual({ kind: "nothing" });
  expect(roleOf(fresh, c)).toBeNull();
});

test("every pair of desired and observed gets a decision", () => {
  const asked = sample(tuple(wishes, localObservations), { numRuns: 8_000, seed: 1 });
  const wants = new Map(asked.map(([want]) => [want.kind, want]));
  const sights = new Map(asked.map(([, see]) => [see.kind, see]));

  expect([wants.size, sights.size]).toEqual([10, 13]);
  for (const want of wants.values()) {
    for (const see of sights.values()) {
      expect(["act", "report", "wait", "done"]).toContain(decideLocal(want, see).kind);
    }
  }
});
