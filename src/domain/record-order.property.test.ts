import { assert, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { orderRefusal } from "./record-order.ts";
import { type Change, localHistories, nodes } from "./record-samples.ts";

function always(law: (change: Change) => void): void {
  assert(
    property(localHistories, (changes) => {
      for (const change of changes) law(change);
    }),
    { numRuns: 300 },
  );
}

describe("an order", () => {
  test("is open until its node has taken a claim, and nothing older than it is under way unseen", () => {
    always(({ event, after: now }) => {
      const { claim, move, primary, orderOpen, orderedAtMs } = now;
      const has = claim?.node === primary && claim.phase === "taken";
      if (event.kind === "ordered") {
        expect(primary).toBe(event.node);
        expect(orderOpen).toBe(!has);
        if (move !== null) expect(orderedAtMs).toBeGreaterThanOrEqual(move.openedAtMs);
      }
      if (has) expect(orderOpen).toBe(false);
    });
  });

  test("that changes nothing is open or served where it should be, and nothing leaves from there", () => {
    always(({ after: now }) => {
      for (const node of nodes) {
        if (orderRefusal(now, node) !== "already") continue;
        expect(now.primary).toBe(node);
        expect(now.move?.target ?? node).toBe(node);
        expect(now.orderOpen || now.claim?.node === node).toBe(true);
        if (!now.orderOpen) expect(now.claim?.phase).not.toBe("releasing");
      }
    });
  });
});
