import { assert, property, sample } from "fast-check";
import { describe, expect, test } from "vitest";
import { type Change, localHistories, nodes } from "./record-samples.ts";
import { liveCopy } from "./record.ts";
import { grantRefusal } from "./record-step.ts";

function always(law: (change: Change) => void): void {
  assert(
    property(localHistories, (changes) => {
      for (const change of changes) law(change);
    }),
    { numRuns: 300 },
  );
}

describe("a local dataset", () => {
  test("has at most one live copy, and once it had one it keeps one until it is destroyed", () => {
    always(({ before, after }) => {
      expect(after.copies.filter(({ role }) => role === "live").length).toBeLessThanOrEqual(1);
      if (liveCopy(before) !== null && after.volume.kind !== "gone") {
        expect(liveCopy(after)).not.toBeNull();
      }
    });
  });

  test("is granted only where its live copy is", () => {
    always(({ after }) => {
      const live = liveCopy(after);
      for (const node of nodes.filter((one) => one !== live?.node)) {
        expect(grantRefusal(after, node)).not.toBeNull();
      }
      if (after.claim !== null && live !== null) expect(after.claim.node).toBe(live.node);
    });
  });

  test("is held by nobody while it is sealed", () => {
    always(({ after }) => {
      if (after.move?.phase !== "sealed") return;
      expect(after.claim).toBeNull();
      for (const node of nodes) expect(grantRefusal(after, node)).not.toBeNull();
    });
  });

  test("is never without a copy that is left when a person gives the node of the live one up", () => {
    always(({ before, event, after }) => {
      const was = liveCopy(before);
      if (event.kind !== "overridden" || was?.node !== event.node) return;
      const left = before.copies.filter(
        ({ node, role, discarding }) => node !== was.node && role === "fallback" && !discarding,
      );
      if (left.length > 0) expect(left.map(({ node }) => node)).toContain(liveCopy(after)?.node);
    });
  });

  test("keeps what the target of a sealed move got when a person gives the source up", () => {
    always(({ before, event, after }) => {
      const { move } = before;
      if (event.kind !== "overridden" || move?.phase !== "sealed") return;
      if (event.node !== move.source) return;
      const kept = after.copies.filter((one) => one.node === move.target && !one.discarding);
      expect(kept.length).toBeGreaterThan(0);
    });
  });

  test("changes its live copy only by the commit of a sealed move, by a person or by recovery", () => {
    always(({ before, event, after }) => {
      const [was, is] = [liveCopy(before), liveCopy(after)];
      if (was === null || is === null || was.node === is.node) return;
      if (event.kind === "move_committed") {
        expect(before.move).toMatchObject({ phase: "sealed", source: was.node, target: is.node });
        expect(event.by.node).toBe(is.node);
        return;
      }
      // During recovery a node's own word that it has it mounted counts more than the store's.
      if (event.kind === "claim_recovered") return expect(event.holder.node).toBe(is.node);
      expect(event).toMatchObject({ kind: "overridden", node: was.node });
      expect(after.copies).toContainEqual(
        expect.objectContaining({ node: was.node, role: "diverged" }),
      );
    });
  });

  test("never goes on from a copy that is older than what its claims wrote, but by a person's word", () => {
    always(({ before, event, after }) => {
      const [was, is] = [liveCopy(before), liveCopy(after)];
      if (was === null || is === null || event.kind === "overridden") return;
      expect(is.generation).toBeGreaterThanOrEqual(was.generation);
    });
  });
});

describe("a move", () => {
  test("ends by exactly one of commit and abort, and its end is final", () => {
    assert(
      property(localHistories, (changes) => {
        const ended = new Set<string>();
        for (const { before, event, after } of changes) {
          if (event.kind === "move_committed" || event.kind === "move_aborted") {
            expect(ended).not.toContain(`${before.move?.id} ${before.move?.openedAtMs}`);
          }
          if (before.move !== null && after.move === null) {
            expect(["move_committed", "move_aborted", "overridden", "claim_recovered"]).toContain(
              event.kind,
            );
          }
        }
      }),
    );
  });

  test("that is aborted leaves the live copy where it is, and what the target got goes", () => {
    always(({ before, event, after }) => {
      if (event.kind !== "move_aborted" || before.move === null) return;
      const { source, target } = before.move;
      expect(liveCopy(after)).toMatchObject({ node: source });
      const left = after.copies.filter(({ node, role }) => node === target && role === "replica");
      expect(left.every(({ discarding }) => discarding)).toBe(true);
    });
  });

  test("that is committed leaves the source a fallback of what was sealed", () => {
    always(({ before, event, after }) => {
      if (event.kind !== "move_committed" || before.move === null) return;
      const { source, generation } = before.move;
      expect(after.copies).toContainEqual(
        expect.objectContaining({ node: source, role: "fallback", generation, discarding: false }),
      );
    });
  });
});

function fallbacks({ copies }: Change["after"]): readonly string[] {
  return copies
    .filter(({ role, discarding }) => role === "fallback" && !discarding)
    .map(({ node }) => node);
}

describe("a copy", () => {
  test("that diverged is never discarded, and leaves the record never", () => {
    always(({ before, after }) => {
      const parted = before.copies.filter(({ role }) => role === "diverged");
      for (const { node } of parted) {
        expect(after.copies).toContainEqual(
          expect.objectContaining({ node, role: "diverged", discarding: false }),
        );
      }
    });
  });

  test("that is live is never discarded, and a fallback only after the live one is durable", () => {
    always(({ event, before, after }) => {
      const live = liveCopy(after);
      if (live !== null) expect(live.discarding).toBe(false);
      if (event.kind === "copy_expired") expect(liveCopy(before)?.settled).toBe(true);
    });
  });

  test("that is a fallback goes for nothing but its time, a newer one, or a deletion", () => {
    always(({ before, event, after }) => {
      const lost = fallbacks(before).filter(
        (node) => !fallbacks(after).includes(node) && liveCopy(after)?.node !== node,
      );
      if (lost.length === 0) return;
      expect(["copy_expired", "move_committed", "op_closed"]).toContain(event.kind);
      if (event.kind === "move_committed") expect(fallbacks(after)).toHaveLength(1);
    });
  });
});

test("the histories reach the ends of moves", () => {
  const reached = new Set<string>();
  for (const changes of sample(localHistories, { numRuns: 400, seed: 1 })) {
    for (const { event, after } of changes) {
      reached.add(event.kind);
      if (after.copies.some(({ role }) => role === "diverged")) reached.add("diverged");
    }
  }
  for (const kind of [
    "move_sealed",
    "move_committed",
    "move_aborted",
    "copy_settled",
    "copy_expired",
    "copy_discarded",
    "diverged",
  ]) {
    expect(reached).toContain(kind);
  }
});
