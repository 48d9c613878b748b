import {
  type Arbitrary,
  assert,
  boolean,
  constantFrom,
  integer,
  pre,
  property,
  sample,
} from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBootId, parseOpId } from "./ids.ts";
import type { DatasetRecord } from "./record.ts";
import type { RecordEvent } from "./record-event.ts";
import {
  type Change,
  type Choice,
  choices,
  choicesWithRecovery,
  eventOf,
  fresh,
  history,
  nodes,
  records,
} from "./record-samples.ts";
import { claimOf, grantRefusal, isRefusal, recordStep } from "./record-step.ts";

/** The law holds for every change of every random history; without recovery's own events. */
function always(law: (change: Change) => void, some: Arbitrary<readonly Choice[]> = choices) {
  assert(
    property(some, (list) => {
      for (const change of history(list)) law(change);
    }),
  );
}

describe("claims", () => {
  test("a generation names at most one node and era in all of history", () => {
    assert(
      property(choices, (list) => {
        const holders = new Map<number, string>();
        for (const { after } of history(list)) {
          if (after.claim === null) continue;
          const { generation, node, era } = after.claim;
          const holder = `${node} ${era}`;
          expect(holders.get(generation) ?? holder).toBe(holder);
          holders.set(generation, holder);
        }
      }),
    );
  });

  test("a claim ends only by released, declined, rebooted, fenced, overridden or recovery", () => {
    const ends: readonly RecordEvent["kind"][] = [
      "released",
      "declined",
      "attached_elsewhere",
      "rebooted",
      "fenced",
      "overridden",
      "claim_forgotten",
      "claim_recovered",
    ];
    always(({ before, event, after }) => {
      if (before.claim === null) return;
      if (after.claim?.generation === before.claim.generation) return;
      expect(ends).toContain(event.kind);
    }, choicesWithRecovery);
  });

  test("nothing is granted while an op or a claim is open, nor in a move but to its source at first", () => {
    const move = {
      id: parseOpId("e0000000-0000-4000-8000-000000000001"),
      source: fresh.primary,
      target: fresh.primary,
      phase: "sealed",
      generation: 1,
      openedAtMs: 1,
    } as const;
    assert(
      property(records, boolean(), (record, moving) => {
        const open: DatasetRecord = moving ? { ...record, move } : record;
        pre(open.op !== null || open.move !== null || open.claim !== null);
        const isFree = open.op === null && open.claim === null && open.move?.phase === "precopy";
        for (const node of nodes) {
          if (isFree && open.move?.source === node) continue;
          expect(grantRefusal(open, node)).not.toBeNull();
        }
      }),
    );
  });

  test("a grant is a new generation above all others", () => {
    always(({ before, event, after }) => {
      if (event.kind !== "granted") return;
      expect(after.generation).toBe(before.generation + 1);
      expect(after.claim?.generation).toBe(after.generation);
    }, choicesWithRecovery);
  });

  test("a generation never goes back", () => {
    always(({ before, after }) => {
      expect(after.generation).toBeGreaterThanOrEqual(before.generation);
    }, choicesWithRecovery);
  });

  test("once a generation was given back, nobody takes, formats or releases under it again", () => {
    assert(
      property(choices, (list) => {
        const over = new Set<number>();
        for (const { before, event, after } of history(list)) {
          if ("generation" in event && "by" in event) expect(over).not.toContain(event.generation);
          if (before.claim !== null && after.claim === null) over.add(before.claim.generation);
        }
      }),
    );
  });

  test("a message of another node, era or generation changes nothing", () => {
    assert(
      property(records, constantFrom(...nodes), integer({ min: 1 }), (record, node, more) => {
        const { claim } = record;
        pre(claim !== null);
        const { generation } = claim;
        const holder = { ...claim, session: 1 };
        for (const kind of [
          "taken",
          "release_begun",
          "released",
          "declined",
          "formatted",
        ] as const) {
          const late = { kind, by: holder, generation: generation + more };
          expect(isRefusal(recordStep(record, late))).toBe(true);
          const foreign = { kind, by: { ...holder, node }, generation };
          if (node !== claim.node) expect(isRefusal(recordStep(record, foreign))).toBe(true);
        }
        const kind = "attached_elsewhere";
        const late = { kind, by: holder, generation: generation + more, node } as const;
        expect(isRefusal(recordStep(record, late))).toBe(true);
        const own = { kind, by: holder, generation, node: claim.node } as const;
        expect(isRefusal(recordStep(record, own))).toBe(true);
      }),
    );
  });

  test("claimOf gives the claim to its node in its era alone", () => {
    assert(
      property(records, constantFrom(...nodes), (record, node) => {
        const { claim } = record;
        pre(claim !== null);
        expect(claimOf(record, claim.node, claim.era)).toBe(claim);
        if (node !== claim.node) expect(claimOf(record, node, claim.era)).toBeNull();
      }),
    );
  });
});

describe("ends of claims that nobody proved", () => {
  test("after a reboot nobody but that node is granted before it cleaned up or was taken from", () => {
    always(({ after }) => {
      if (after.residue === null) return;
      const other = nodes.filter((node) => node !== after.residue);
      for (const node of other) expect(grantRefusal(after, node)).not.toBeNull();
    }, choicesWithRecovery);
  });

  test("a residue is cleared by its node, by a claim of it, by a fence or by a person", () => {
    always(({ before, event, after }) => {
      if (before.residue === null || after.residue === before.residue) return;
      if (event.kind === "residue_cleared" || event.kind === "taken" || event.kind === "released")
        expect(event.by.node).toBe(before.residue);
      else if (event.kind === "claim_recovered") expect(event.holder.node).toBe(before.residue);
      else {
        expect(["fenced", "overridden"]).toContain(event.kind);
        expect(event).toMatchObject({ node: before.residue });
      }
    }, choicesWithRecovery);
  });

  test("a node that was taken from is granted nothing before its cut or its reboot", () => {
    always(({ before, event, after }) => {
      for (const node of after.superseded) expect(grantRefusal(after, node)).not.toBeNull();
      for (const node of before.superseded) {
        if (after.superseded.includes(node)) continue;
        expect(["cut_reported", "rebooted"]).toContain(event.kind);
        if (event.kind === "cut_reported") expect(event.by.node).toBe(node);
        if (event.kind === "rebooted") expect(event.node).toBe(node);
      }
    }, choicesWithRecovery);
  });

  test("a person's word opens the forced detach wherever an attachment may stand", () => {
    always(({ before, event, after }) => {
      if (event.kind !== "overridden") return;
      // What another node was granted since is attached to that one, or it says where it stands.
      const isFree = before.claim === null || before.claim.node === event.node;
      const mayExist = before.volume.kind === "creating" || before.volume.kind === "exists";
      const mayStand = isFree && mayExist;
      expect(after.op?.kind ?? null).toBe(mayStand ? "force_detach" : null);
      expect(after.op?.target ?? event.node).toBe(event.node);
      expect(after.superseded).toContain(event.node);
    });
  });

  test("an op ends only by a definitive answer, or by a claim that cannot be older than its end", () => {
    always(({ before, event, after }) => {
      if (before.op === null || after.op?.id === before.op.id) return;
      if (event.kind === "claim_recovered") {
        expect(event.holder.generation).toBeGreaterThan(before.generation);
        return;
      }
      expect(event).toMatchObject({ kind: "op_closed", op: before.op.id, outcome: "done" });
    }, choicesWithRecovery);
  });
});

describe("recovery", () => {
  const [a, b] = [nodes[0], nodes[1]];
  const era = parseBootId("b0000000-0000-4000-8000-000000000001");
  const says = (node: typeof a, generation: number): RecordEvent => {
    if (node === undefined) throw new Error("no such node");
    return { kind: "claim_recovered", holder: { node, era, generation } };
  };

  test("of two that say they hold it the newer generation wins, in any order", () => {
    for (const order of [
      [says(a, 5), says(b, 6)],
      [says(b, 6), says(a, 5)],
    ]) {
      const end = order.reduce((record, event) => {
        const next = recordStep(record, event);
        return isRefusal(next) ? record : next;
      }, fresh);
      expect(end).toMatchObject({ claim: { node: b, generation: 6 }, residue: a, generation: 6 });
    }
  });

  test("a second node whose attachment may stand has to cut instead", () => {
    const held = recordStep({ ...fresh, residue: fresh.primary }, says(b, 6));
    if (isRefusal(held) || b === undefined) return expect.unreachable();
    const again = recordStep(held, { kind: "rebooted", node: b, era: parseBootId(b) });

    expect(held).toMatchObject({ claim: { node: b }, residue: fresh.primary, superseded: [] });
    expect(again).toMatchObject({ claim: null, residue: fresh.primary, superseded: [b] });
  });

  test("what the record already knows, or knows better, is refused", () => {
    const held = recordStep(fresh, says(a, 5));
    if (isRefusal(held)) return expect.unreachable();

    expect(recordStep(held, says(a, 5))).toMatchObject({ reason: "already" });
    expect(recordStep(held, says(a, 4))).toMatchObject({ reason: "stale_generation" });
    const opened: DatasetRecord = {
      ...fresh,
      generation: 5,
      op: {
        id: fresh.lineage,
        kind: "force_detach",
        target: fresh.primary,
        executor: null,
        vanishedAtMs: null,
      },
    };
    expect(recordStep(opened, says(b, 5))).toMatchObject({ reason: "op_open" });
    expect(recordStep(opened, says(b, 6))).toMatchObject({ op: null, claim: { generation: 6 } });
  });

  test("a node that was taken from is not made the holder again by its own word", () => {
    const record: DatasetRecord = { ...fresh, superseded: [fresh.primary], generation: 1 };
    expect(recordStep(record, says(fresh.primary, 1))).toEqual({
      kind: "refused",
      reason: "superseded",
    });
  });
});

describe("what is remembered for ever", () => {
  const order = ["never", "creating", "exists", "gone"];

  test("existence is never forgotten", () => {
    always(({ before, event, after }) => {
      const [was, is] = [order.indexOf(before.volume.kind), order.indexOf(after.volume.kind)];
      expect(is).toBeGreaterThanOrEqual(was);
      if (before.volume.kind === "exists" && after.volume.kind !== "gone") {
        expect(after.volume).toEqual(before.volume);
      }
      if (before.volume.kind === "creating" && after.volume.kind === "exists") {
        expect(event).toMatchObject({ kind: "volume_registered", op: before.volume.op });
      }
    }, choicesWithRecovery);
  });

  test("formatted is never unsaid", () => {
    always(({ before, event, after }) => {
      if (before.formatted === "yes") expect(after.formatted).toBe("yes");
      else if (after.formatted === "yes") expect(event.kind).toBe("formatted");
    }, choicesWithRecovery);
  });

  test("a deletion is taken back only while no op is open; a volume goes by a destroy or from never", () => {
    const phases = ["deleting", "trashed", "retained", "gone"];
    always(({ before, event, after }) => {
      if (before.deletion !== null && after.deletion === null) {
        expect([event.kind, before.op]).toEqual(["restored", null]);
        expect(before.deletion.phase).not.toBe("gone");
      } else if (before.deletion !== null && event.kind === "purge_asked") {
        expect(["trashed", "retained"]).toContain(before.deletion.phase);
        expect(after.deletion).toMatchObject({ phase: "deleting", reclaim: "delete" });
      } else if (before.deletion !== null) {
        const [was, is] = [before.deletion.phase, after.deletion?.phase ?? ""];
        expect(phases.indexOf(is)).toBeGreaterThanOrEqual(phases.indexOf(was));
      }
      if (after.volume.kind !== "gone" || before.volume.kind === "gone") return;
      if (before.volume.kind === "never") expect(event.kind).toBe("deletion_advanced");
      else expect([event.kind, before.op?.kind]).toEqual(["op_closed", "destroy"]);
    }, choicesWithRecovery);
  });

  test("ids, origin and place are never changed", () => {
    always(({ before, after }) => {
      for (const key of ["datasetId", "createdAtMs", "pool", "sizeBytes"] as const) {
        expect(after[key]).toBe(before[key]);
      }
    }, choicesWithRecovery);
  });

  test("the lineage is another one for each claim that may format, and stays once it is formatted", () => {
    always(({ before, event, after }) => {
      const mayFormat = before.formatted === "no" && before.volume.kind !== "never";
      if (event.kind === "granted" && mayFormat && before.poolKind === "attachable") {
        expect(after.lineage).toBe(event.createOp);
      } else expect(after.lineage).toBe(before.lineage);
    }, choicesWithRecovery);
  });

  test("a lost or deleted dataset is granted to nobody", () => {
    assert(
      property(records, boolean(), (record, lost) => {
        const some: DatasetRecord = { ...record, lost };
        pre(lost || some.deletion !== null);
        for (const node of nodes) expect(grantRefusal(some, node)).not.toBeNull();
      }),
    );
  });
});

describe("the function", () => {
  test("leaves the revision to the store", () => {
    always(
      ({ before, after }) => expect(after.revision).toBe(before.revision),
      choicesWithRecovery,
    );
  });

  test("gives the same answer to the same question, and never writes to its arguments", () => {
    assert(
      property(choicesWithRecovery, (list) => {
        let record = fresh;
        for (const choice of list) {
          const event = eventOf(record, choice);
          const text = JSON.stringify([record, event]);
          const next = recordStep(record, event);
          expect(recordStep(record, event)).toEqual(next);
          expect(JSON.stringify([record, event])).toBe(text);
          if (!isRefusal(next)) record = next;
        }
      }),
    );
  });

  test("never breaks an invariant, whatever is said by whomever", () => {
    assert(
      property(choicesWithRecovery, (list) => {
        expect(() => history(list)).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });
});

test("the histories reach what the laws are about", () => {
  const reached = new Set<string>();
  for (const list of sample(choices, { numRuns: 1_000, seed: 1 })) {
    for (const { event, after } of history(list)) {
      reached.add(event.kind).add(`volume ${after.volume.kind}`).add(`op ${after.op?.kind}`);
      reached.add(`deletion ${after.deletion?.phase}`).add(`formatted ${after.formatted}`);
      if (after.residue !== null) reached.add("residue");
      if (after.superseded.length > 0) reached.add("superseded");
    }
  }

  expect([...reached].sort()).toMatchInlineSnapshot(`
    [
      "attached_elsewhere",
      "cut_reported",
      "declined",
      "deletion deleting",
      "deletion gone",
      "deletion retained",
      "deletion trashed",
      "deletion undefined",
      "deletion_advanced",
      "deletion_asked",
      "fenced",
      "formatted",
      "formatted no",
      "formatted yes",
      "granted",
      "op destroy",
      "op force_detach",
      "op undefined",
      "op_assigned",
      "op_closed",
      "op_vanished",
      "ordered",
      "overridden",
      "purge_asked",
      "rebooted",
      "release_begun",
      "released",
      "residue",
      "residue_cleared",
      "restored",
      "superseded",
      "taken",
      "volume creating",
      "volume exists",
      "volume gone",
      "volume never",
      "volume_registered",
    ]
  `);
});
