import { describe, expect, test } from "vitest";
import { condition } from "../../domain/condition.ts";
import { liveCopy } from "../../domain/record.ts";
import { a, b, c, helloOf, LocalBed } from "./test-core.ts";

const held = (): LocalBed => new LocalBed().heldByA();

/** Sealed at `a` on its way to `b`, by an order. */
function sealed(): LocalBed {
  const bed = held();
  bed.order(b);
  bed.report(b, { kind: "copied", move: bed.move.id });
  bed.release(a);
  bed.seal(a);
  return bed;
}

describe("an order of a local dataset", () => {
  test("opens a move and asks nobody to give back before the bulk is there", () => {
    const bed = held();
    bed.order(b);
    expect(bed.move).toMatchObject({ source: a, target: b, phase: "precopy" });
    expect(bed.told(a)?.wantedBy).toBeNull();
    expect(bed.told(b)?.peer).toEqual({ host: "10.0.0.1", port: 4525 });
    bed.report(b, { kind: "copied", move: bed.move.id });
    expect(bed.told(a)?.wantedBy).toBe(b);
  });

  test("ends with the live copy at the target, granted there, and a fallback at the source", () => {
    const bed = held().moveTo(b);
    expect(bed.record).toMatchObject({ move: null, claim: { node: b, generation: 2 } });
    expect(liveCopy(bed.record)).toMatchObject({ node: b, settled: true });
    expect(bed.record.copies).toContainEqual(
      expect.objectContaining({ node: a, role: "fallback", discarding: false }),
    );
  });

  test("waits for a source that is silent, and goes on when it is back", () => {
    const bed = held();
    bed.disconnect(a);
    bed.order(b);
    expect(bed.record.move).toBeNull();
    bed.hello(a);
    expect(bed.move.target).toBe(b);
  });

  test("grants nothing but a wish of the source, and that only until the bulk is there", () => {
    const bed = held();
    bed.order(b);
    bed.reboot(a);
    expect(bed.record).toMatchObject({ claim: null, move: { phase: "precopy" } });
    bed.wish(c);
    bed.tick();
    expect(bed.record.claim).toBeNull();

    bed.wish(a);
    // The order stands: what it opened goes on, and takes the dataset from there as ever.
    expect(bed.record).toMatchObject({
      claim: { node: a, generation: 2 },
      primary: b,
      orderOpen: true,
      move: { phase: "precopy", target: b },
    });
    bed.take(a);
    bed.report(b, { kind: "copied", move: bed.move.id });
    expect(bed.told(a)?.wantedBy).toBe(b);
    bed.release(a);
    bed.seal(a);
    bed.report(b, { kind: "received", move: bed.move.id });
    expect(bed.record.claim).toMatchObject({ node: b, generation: 3 });

    const late = held();
    late.order(b);
    late.report(b, { kind: "copied", move: late.move.id });
    late.reboot(a);
    late.wish(a);
    expect(late.record.claim).toBeNull();
  });

  test("to a node that is away leaves it in use where it lies, and moves it when that is back", () => {
    const bed = held();
    bed.disconnect(b);
    bed.order(b);
    bed.reboot(a);
    expect(bed.record).toMatchObject({ claim: { node: a, generation: 2 }, primary: b });
    bed.hello(b);
    expect(bed.record).toMatchObject({ claim: { node: a }, move: { target: b } });
  });

  test("to a node without that pool is refused", () => {
    const bed = held();
    bed.disconnect(b);
    bed.hello(b, { pools: [] });
    expect(() => bed.order(b)).toThrow(/has no local pool named disks/);
  });

  test("tells the target of a source that went away and came back elsewhere", () => {
    const bed = held();
    bed.order(b);
    bed.disconnect(a);
    expect(bed.told(b)?.peer).toBeNull();
    bed.hello(a, { address: { host: "10.0.0.9", peerPort: 4525 } });
    expect(bed.told(b)?.peer).toEqual({ host: "10.0.0.9", port: 4525 });
  });
});

describe("a wish of another node", () => {
  test("opens a move, and is granted after its commit with primary following", () => {
    const bed = held();
    bed.wish(b);
    const { id } = bed.move;
    bed.report(b, { kind: "copied", move: id });
    bed.release(a);
    bed.seal(a);
    expect(bed.record.primary).toBe(a);
    bed.report(b, { kind: "received", move: id });
    expect(bed.record).toMatchObject({ claim: { node: b }, primary: b });
  });

  test("that ended is given 60 seconds to be renewed before what was copied is given up", () => {
    const bed = held();
    bed.wish(b);
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    bed.tick(59_000);
    bed.wish(b);
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    bed.tick(59_000);
    expect(bed.move.target).toBe(b);
    bed.tick(2_000);
    expect(bed.record.move).toBeNull();
    expect(bed.record.claim).toMatchObject({ node: a, generation: 1 });
    expect(bed.told(b)?.record.copies).toContainEqual(
      expect.objectContaining({ node: b, discarding: true }),
    );
  });

  test("where the fallback is leaves it there when it ends: the live one may be on a dead disk", () => {
    const bed = held().moveTo(b);
    bed.wish(a);
    expect(bed.move.target).toBe(a);
    bed.say(a, { kind: "wish_ended", datasetId: bed.id });
    bed.tick();
    bed.tick(61_000);
    expect(bed.record.move).toBeNull();
    const fallback = expect.objectContaining({ node: a, role: "fallback", discarding: false });
    expect(bed.record.copies).toEqual([expect.objectContaining({ node: b }), fallback]);
  });

  test("that ended asks nobody to give back, and does again once it is renewed", () => {
    const bed = held();
    bed.wish(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    expect(bed.move.phase).toBe("copied");
    expect(bed.told(a)?.wantedBy).toBeNull();
    bed.wish(b);
    expect(bed.told(a)?.wantedBy).toBe(b);
  });

  test("that ended takes nothing from a holder that is giving back for it", () => {
    const bed = held();
    bed.wish(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.release(a);
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    expect(bed.record.move).toBeNull();
    bed.released(a);
    expect(bed.record.claim).toMatchObject({ node: a, generation: 2 });
  });

  test("that ended takes nothing while nobody holds the dataset", () => {
    const bed = held();
    bed.wish(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.reboot(a);
    expect(bed.record).toMatchObject({ claim: null, move: { phase: "copied" } });
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    expect(bed.record).toMatchObject({ move: null, claim: { node: a, generation: 2 } });
  });

  test("that ended gives way at once to somebody else who waits", () => {
    const bed = held();
    bed.wish(b);
    bed.wish(c);
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    expect(bed.move.target).toBe(c);
  });

  test("that ended after the seal leaves the dataset at the target, granted where it lies", () => {
    const bed = held();
    bed.wish(b);
    const { id } = bed.move;
    bed.report(b, { kind: "copied", move: id });
    bed.release(a);
    bed.seal(a);
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    bed.tick(61_000);
    expect(bed.move.phase).toBe("sealed");
    bed.report(b, { kind: "received", move: id });
    expect(bed.record).toMatchObject({ claim: { node: b }, primary: a });
  });

  test("that ended after the seal is called back by an order of where the dataset rests", () => {
    const bed = held();
    bed.wish(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.release(a);
    bed.seal(a);
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    expect(bed.record.primary).toBe(a);
    bed.order(a);
    expect(bed.record).toMatchObject({ move: null, claim: { node: a, generation: 2 } });
  });

  test("is not called back by an order from before the clock was set back", () => {
    const bed = held();
    // Nobody serves the order where the dataset rests: its node waits for a person.
    bed.core.receive("clone", { ...helloOf(a, 31), fingerprint: "another" }, bed.nowMs);
    bed.release(a);
    bed.released(a);
    const beforeMs = bed.nowMs;
    bed.nowMs += 3_600_000;
    bed.order(a);
    bed.nowMs = beforeMs;
    bed.wish(b);
    const { id } = bed.move;
    bed.tick();
    expect(bed.move.id).toBe(id);
  });

  test("that ended is given no 60 seconds when the holder is ordered to keep the dataset", () => {
    const bed = held();
    bed.wish(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    bed.order(a);
    expect(bed.record).toMatchObject({ move: null, claim: { node: a, generation: 1 } });
    // The holder had begun to give back meanwhile.
    bed.release(a);
    bed.released(a);
    expect(bed.record).toMatchObject({ move: null, claim: { node: a, generation: 2 } });
  });

  test.each(["copied", "sealed"])(
    "goes on after an order of the holder, and ends its move, %s, when it ends",
    (phase) => {
      const bed = held();
      bed.wish(b);
      bed.report(b, { kind: "copied", move: bed.move.id });
      bed.order(a);
      if (phase === "sealed") {
        bed.release(a);
        bed.seal(a);
      }
      expect(bed.move).toMatchObject({ target: b, phase });
      bed.say(b, { kind: "wish_ended", datasetId: bed.id });
      expect(bed.record).toMatchObject({ move: null, primary: a, claim: { node: a } });
    },
  );

  test("comes before an order that is younger, which is served after it", () => {
    const bed = held();
    bed.wish(b);
    bed.order(c);
    expect(bed.move.target).toBe(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.release(a);
    bed.seal(a);
    bed.report(b, { kind: "received", move: bed.move.id });
    expect(bed.record).toMatchObject({ claim: { node: b }, primary: c, move: { target: c } });
  });

  test("is served where the data is before an order takes it away", () => {
    const bed = held();
    bed.reboot(a);
    bed.take(a);
    bed.release(a);
    bed.wish(a);
    bed.released(a);
    bed.order(b);
    expect(bed.record.claim?.node).toBe(a);
    expect(bed.move.target).toBe(b);
  });
});

describe("an open move", () => {
  test("is aborted by an order to a third node, which gets its own", () => {
    const bed = held();
    bed.order(b);
    const first = bed.move.id;
    bed.order(c);
    expect(bed.move).toMatchObject({ target: c, phase: "precopy" });
    expect(bed.move.id).not.toBe(first);
  });

  test("that is sealed is aborted by calling the dataset back, and the source opens it anew", () => {
    const bed = sealed();
    bed.order(a);
    expect(bed.record).toMatchObject({ move: null, claim: { node: a, generation: 2 } });
    expect(liveCopy(bed.record)?.node).toBe(a);
  });

  test("that is sealed is aborted by an order to a third node, which takes it from the source", () => {
    const bed = sealed();
    bed.order(c);
    expect(bed.move).toMatchObject({ source: a, target: c, phase: "precopy" });
    expect(bed.record.claim).toBeNull();
  });

  test("that is sealed stays so while its target is silent", () => {
    const bed = sealed();
    bed.disconnect(b);
    bed.wish(c);
    bed.tick(600_000);
    expect(bed.move).toMatchObject({ target: b, phase: "sealed" });
    expect(bed.record.claim).toBeNull();
  });

  test("to a silent target gives way to whoever waits, while nothing is sealed", () => {
    const bed = held();
    bed.order(b);
    bed.disconnect(b);
    expect(bed.move.target).toBe(b);
    bed.wish(c);
    expect(bed.move.target).toBe(c);
  });

  test("is aborted by the deletion, whose op goes to the node of the live copy", () => {
    const bed = sealed();
    bed.delete(true);
    expect(bed.record).toMatchObject({
      move: null,
      claim: null,
      op: { kind: "destroy", executor: { node: a } },
    });
    bed.report(a, { kind: "op_done", op: bed.record.op?.id ?? bed.move.id });
    expect(bed.record.deletion?.phase).toBe("gone");
    expect(bed.record.copies).toEqual([expect.objectContaining({ node: b, discarding: true })]);
  });

  test("is aborted by the word that either end is dead", () => {
    const target = sealed();
    target.disconnect(b);
    target.declareDead(b);
    expect(target.record).toMatchObject({ move: null, claim: { node: a } });
    const source = sealed();
    source.disconnect(a);
    source.declareDead(a);
    expect(source.record).toMatchObject({ move: null, claim: null });
    expect(liveCopy(source.record)?.node).toBe(a);
  });

  test("goes on when the source is rebooted, and needs no claim to be sealed", () => {
    const bed = held();
    bed.order(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.reboot(a);
    expect(bed.record.claim).toBeNull();
    bed.seal(a);
    bed.report(b, { kind: "received", move: bed.move.id });
    expect(bed.record.claim?.node).toBe(b);
  });
});

describe("a target whose pool has no room", () => {
  const full = { condition: condition("POOL_FULL", "It has 3 bytes free.") };

  test("is refused before anything is sealed, and asked again after a minute", () => {
    const bed = held();
    bed.order(b);
    bed.observe(b, full);
    bed.tick();
    expect(bed.record).toMatchObject({ move: null, claim: { node: a, generation: 1 } });
    bed.tick(61_000);
    expect(bed.move.target).toBe(b);
    bed.tick();
    expect(bed.move.target).toBe(b);
  });

  test("that it had before the seal gives back what is sealed: its source is the way out", () => {
    const bed = sealed();
    bed.observe(b, full);
    bed.tick();
    expect(bed.record).toMatchObject({ move: null, claim: { node: a, generation: 2 } });
    bed.tick(61_000);
    expect(bed.move).toMatchObject({ target: b, phase: "precopy" });
  });

  test("gives its fallback up for room, as the live copy is safe where it is", () => {
    const bed = held().moveTo(b);
    bed.order(a);
    bed.observe(a, full);
    bed.tick();
    expect(bed.record.copies).toContainEqual(
      expect.objectContaining({ node: a, role: "fallback", discarding: true }),
    );
  });

  test("is asked again at once when the order is repeated", () => {
    const bed = held();
    bed.order(b);
    bed.observe(b, full);
    bed.tick();
    bed.order(b);
    expect(bed.move.target).toBe(b);
  });

  test("leaves the dataset to others", () => {
    const bed = held();
    bed.order(b);
    bed.observe(b, full);
    bed.wish(c);
    expect(bed.move.target).toBe(c);
  });
});

test("two nodes that take a dataset from each other in turn are held back", () => {
  const bed = held();
  for (let moves = 0; moves < 10; moves += 1) {
    const from = bed.record.claim?.node === a ? a : b;
    const to = from === a ? b : a;
    bed.wish(to);
    bed.report(to, { kind: "copied", move: bed.move.id });
    bed.release(from);
    bed.seal(from);
    bed.report(to, { kind: "received", move: bed.move.id });
    bed.take(to);
    bed.report(to, { kind: "settled" });
  }
  bed.wish(b);
  expect(bed.record.move).toBeNull();
  bed.tick(10_001);
  expect(bed.move.target).toBe(b);
});
