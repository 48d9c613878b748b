import { array, assert, constantFrom, integer, property, tuple } from "fast-check";
import { describe, expect, test } from "vitest";
import type { NodeId } from "./ids.ts";
import { type FoundCopy, recoverCopies } from "./record-recovery.ts";
import { localHistories, nodes } from "./record-samples.ts";
import { type DatasetRecord, liveCopy } from "./record.ts";

const kinds = ["live", "sealed", "received", "base", "partial", "diverged"] as const;
const copies = array(
  tuple(constantFrom(...nodes), constantFrom(...kinds), integer({ min: 0, max: 6 })),
  { maxLength: 5 },
);

type Case = {
  readonly before: DatasetRecord;
  readonly found: ReadonlyMap<NodeId, readonly FoundCopy[]>;
  readonly after: DatasetRecord;
};

function always(law: (one: Case) => void): void {
  const unheard = constantFrom(null, ...nodes);
  assert(
    property(localHistories, copies, unheard, (changes, some, silent) => {
      const before = changes.at(-1)?.after;
      if (before === undefined || before.volume.kind === "gone") return;
      const found = new Map<NodeId, FoundCopy[]>();
      for (const [node, kind, generation] of some.filter(([one]) => one !== silent)) {
        found.set(node, [...(found.get(node) ?? []), { kind, generation }]);
      }
      const heard = (node: NodeId): boolean => node !== silent;
      const after = recoverCopies(before, { copies: found, heard, atMs: 9 });
      law({ before, found, after });
    }),
    { numRuns: 300 },
  );
}

describe("a recovered local dataset", () => {
  test("has no open move, at most one live copy, and one where it is held", () => {
    always(({ before, after }) => {
      expect(after.move).toBeNull();
      expect(after.copies.filter(({ role }) => role === "live").length).toBeLessThanOrEqual(1);
      if (before.claim !== null) expect(liveCopy(after)?.node).toBe(before.claim.node);
      if (liveCopy(before) !== null) expect(liveCopy(after)).not.toBeNull();
    });
  });

  test("has a generation above all that was seen, and loses nothing that may be data", () => {
    always(({ before, found, after }) => {
      expect(after.generation).toBeGreaterThanOrEqual(before.generation);
      for (const [node, has] of found) {
        for (const { kind, generation } of has) {
          expect(after.generation).toBeGreaterThanOrEqual(generation ?? 0);
          if (kind !== "live" && kind !== "diverged") continue;
          const kept = after.copies.filter((one) => one.node === node && !one.discarding);
          const roles: readonly string[] = kept.map(({ role }) => role);
          expect(roles.includes("live") || roles.includes("diverged")).toBe(true);
        }
      }
    });
  });

  test("knows every copy still that diverged, and no other one of it", () => {
    always(({ before, found, after }) => {
      for (const node of nodes) {
        const known = before.copies.filter((one) => one.node === node);
        if (!known.some(({ role }) => role === "diverged")) continue;
        const roles = after.copies.filter((one) => one.node === node).map(({ role }) => role);
        expect(roles).toContain("diverged");
        const isAside = found.get(node)?.some(({ kind }) => kind === "diverged") === true;
        if (isParted(before, node) && !isAside) expect(roles).not.toContain("fallback");
      }
    });
  });

  test("keeps the fallback of a node that was heard, but whose disk may be away", () => {
    always(({ before, found, after }) => {
      const spare = before.copies.filter(({ role }) => role === "fallback");
      for (const { node } of spare.filter((one) => !found.has(one.node))) {
        const roles = after.copies.filter((one) => one.node === node).map(({ role }) => role);
        expect(roles.some((role) => role === "fallback" || role === "live")).toBe(true);
      }
    });
  });

  test("goes on with the newest copy that did not diverge, unless somebody holds one", () => {
    always(({ before, found, after }) => {
      const live = liveCopy(after);
      if (before.claim !== null || live === null) return;
      const own = found.get(live.node) ?? [];
      const ownMax = Math.max(
        -1,
        ...own.filter(({ kind }) => whole.includes(kind)).map(({ generation }) => generation ?? 0),
      );
      if (ownMax < 0) return;
      const known = [...found].filter(([node]) => !isParted(before, node));
      for (const { kind, generation } of known.flatMap(([, has]) => has)) {
        if (whole.includes(kind)) expect(ownMax).toBeGreaterThanOrEqual(generation ?? 0);
      }
    });
  });
});

function isParted({ copies: known }: DatasetRecord, node: NodeId): boolean {
  const mine = known.filter((one) => one.node === node && one.role !== "replica");
  return mine.length > 0 && mine.every(({ role }) => role === "diverged");
}

const whole: readonly string[] = ["live", "sealed", "received"];
