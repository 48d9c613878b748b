import { assert, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { orderRefusal } from "./record-order.ts";
import {
  type Change,
  choicesWithRecovery,
  history,
  localHistories,
  nodes,
} from "./record-samples.ts";
import { recordStep } from "./record-step.ts";

function always(law: (change: Change) => void): void {
  assert(
    property(localHistories, choicesWithRecovery, (local, attachable) => {
      for (const change of [...local, ...history(attachable)]) law(change);
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
  test("is as it was when a wish's grant is declined", () => {
    always(({ before, event, after: granted }) => {
      if (event.kind !== "granted" || event.wishAtMs === null) return;
      const { to: by } = event;
      const { generation } = granted;
      const { primary, orderedAtMs, orderOpen } = before;
      const declined = recordStep(granted, { kind: "declined", by, generation });
      expect(declined).toMatchObject({ claim: null, primary, orderedAtMs, orderOpen });
    });
  });

  test("ends only when it is served, by a later wish that is granted, or by another order", () => {
    always(({ before, event, after: now }) => {
      if (!before.orderOpen || now.orderOpen) return;
      const { primary, orderedAtMs } = before;
      if (event.kind === "ordered" || event.kind === "declined") return;
      if (event.kind === "granted" && event.to.node !== primary) {
        return expect(event.wishAtMs ?? -1).toBeGreaterThanOrEqual(orderedAtMs);
      }
      expect(["granted", "taken", "claim_recovered"]).toContain(event.kind);
      expect(now.claim?.node).toBe(primary);
    });
  });
});
