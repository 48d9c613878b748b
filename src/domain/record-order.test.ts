import { describe, expect, test } from "vitest";
import type { RecordEvent, Speaker } from "./record-event.ts";
import { after, boots, fresh, freshLocal, nodes, ops, refusal } from "./record-samples.ts";

const a: Speaker = { node: nodes[0], era: boots[0], session: 1 };
const b: Speaker = { node: nodes[1], era: boots[1], session: 2 };
const [, op] = ops;
const opened: RecordEvent = { kind: "move_opened", move: op, target: b.node, atMs: 20 };

function granted(to: Speaker, wishAtMs: number | null = null): RecordEvent {
  return { kind: "granted", to, wishAtMs, createOp: op };
}

function order({ node }: Speaker, atMs: number): RecordEvent {
  return { kind: "ordered", node, atMs };
}

function byHolder(kind: "taken" | "release_begun" | "declined", by = a): RecordEvent {
  return { kind, by, generation: 1 };
}

describe("an order", () => {
  const taken = after(freshLocal, granted(a), byHolder("taken"));

  test("of where the dataset is and stays changes nothing", () => {
    expect(refusal(taken, order(a, 30))).toBe("already");
    expect(refusal(after(freshLocal, granted(a)), order(a, 30))).toBe("already");
  });

  test("is served at once by whoever has it, not by whoever is giving it back", () => {
    const called = after(taken, order(b, 30), order(a, 31));
    expect([called.primary, called.orderOpen]).toEqual([a.node, false]);
    const leaving = after(taken, order(b, 30), byHolder("release_begun"));
    expect(after(leaving, order(a, 31)).orderOpen).toBe(true);
    // It leaves for a wish, which changed no primary: the order is not fulfilled any more.
    expect(after(taken, byHolder("release_begun"), order(a, 31)).orderOpen).toBe(true);
  });

  test("of the holder is younger than a move that is open from there, on a clock that went back too", () => {
    for (const atMs of [3, 30]) {
      const called = after(taken, opened, order(a, atMs));
      expect(called).toMatchObject({ orderedAtMs: Math.max(20, atMs), orderOpen: false });
      expect(called.move?.phase).toBe("precopy");
    }
  });

  test("of where what is sealed rests is open, and may be said anew", () => {
    const sealed = after(
      taken,
      opened,
      { kind: "move_copied", by: b, move: op },
      byHolder("release_begun"),
      { kind: "move_sealed", by: a, move: op, generation: 1 },
    );
    const called = after(sealed, order(a, 30));
    expect(called).toMatchObject({ orderOpen: true, orderedAtMs: 30 });
    expect(after(called, order(a, 40)).orderedAtMs).toBe(40);
  });

  test("that is said again before it is served keeps its age", () => {
    expect(refusal(after(fresh, order(b, 30)), order(b, 40))).toBe("already");
    expect(refusal(after(taken, order(b, 10), opened), order(b, 40))).toBe("already");
  });

  test("of a node whose wish was granted outlives the end of that wish", () => {
    const wished = after(fresh, order(b, 4), granted(a, 5), order(a, 6));
    expect(wished).toMatchObject({ primary: a.node, orderOpen: true, claim: { before: null } });
    expect(after(wished, byHolder("declined"))).toMatchObject({
      primary: a.node,
      orderedAtMs: 6,
      orderOpen: true,
    });
    expect(after(wished, byHolder("taken")).orderOpen).toBe(false);
  });

  test("that was open is open again when a wish's grant is declined", () => {
    const wished = after(fresh, order(b, 4), granted(a, 5));
    expect(wished).toMatchObject({ primary: a.node, orderedAtMs: 5, orderOpen: false });
    expect(after(wished, byHolder("declined"))).toMatchObject({
      primary: b.node,
      orderedAtMs: 4,
      orderOpen: true,
    });
  });

  test("that is younger than a wish stays open when that is granted, and is served after it", () => {
    const wished = after(fresh, order(b, 6), granted(a, 5));
    expect(wished).toMatchObject({ primary: b.node, orderedAtMs: 6, orderOpen: true });
    expect(after(wished, byHolder("taken"))).toMatchObject({ primary: b.node, orderOpen: true });
    expect(after(wished, byHolder("declined"))).toMatchObject({ primary: b.node, orderOpen: true });
  });

  test("of what was lost or deleted is refused", () => {
    expect(refusal({ ...fresh, lost: true }, order(b, 5))).toBe("lost");
    const deleted = after(fresh, { kind: "deletion_asked", atMs: 3, reclaim: "trash" });
    expect(refusal(deleted, order(b, 5))).toBe("deleted");
  });
});
