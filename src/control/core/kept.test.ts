import { describe, expect, test } from "vitest";
import { liveCopy } from "../../domain/record.ts";
import { a, b, c, LocalBed } from "./test-core.ts";
import type { UptimeBook } from "./state.ts";

const day = 86_400_000;

/** Ticks of a service that runs all the time. */
function run(bed: LocalBed, ms: number): void {
  for (let passedMs = 0; passedMs < ms; passedMs += 10_000) bed.tick(10_000);
}

function trashed(): LocalBed {
  const bed = new LocalBed().heldByA();
  bed.delete();
  bed.released(a);
  return bed;
}

function lastBook(bed: LocalBed): UptimeBook {
  const books = bed.batches
    .flatMap(({ writes }) => writes)
    .flatMap((write) => (write.kind === "uptime" ? [write.book] : []));
  return books.at(-1) ?? { totalMs: 0, marks: {} };
}

/** `b` had it, and was declared dead: the fallback of `a` is the live one. */
function parted(): LocalBed {
  const bed = new LocalBed().heldByA().moveTo(b);
  bed.disconnect(b);
  bed.declareDead(b);
  return bed;
}

describe("the trash", () => {
  test("is emptied after seven days of running, by an op of the node of the live copy", () => {
    const bed = trashed();
    run(bed, 7 * day - 60_000);
    expect(bed.record.deletion?.phase).toBe("trashed");
    run(bed, 70_000);
    expect(bed.record).toMatchObject({
      deletion: { phase: "deleting", reclaim: "delete" },
      op: { kind: "destroy", executor: { node: a } },
    });
  });

  test("is not emptied by a clock that jumps by years", () => {
    const bed = trashed();
    for (let jumps = 0; jumps < 10; jumps += 1) bed.tick(365 * day);
    expect(bed.record.deletion?.phase).toBe("trashed");
  });

  test("counts on over restarts, and not the time between them", () => {
    const bed = trashed();
    run(bed, 4 * day);
    const next = new LocalBed({
      records: [bed.record],
      nodes: [...bed.core.state.nodes.values()],
      revision: bed.core.state.revision,
      starts: [{ term: 1, instance: "1", firstRevision: 0 }],
      uptime: lastBook(bed),
    });
    next.tick(300 * day);
    run(next, 3 * day - 120_000);
    expect(next.record.deletion?.phase).toBe("trashed");
    run(next, 200_000);
    expect(next.record.deletion?.phase).toBe("deleting");
  });

  test("gives a dataset back, under a name that is free", () => {
    const bed = trashed();
    const other = bed.create({ metadata: { name: "db" } });
    expect(other.notice).toContain("An earlier dataset named db is in the trash");
    expect(() => bed.core.restore(bed.id, null, bed.pass())).toThrow(
      new RegExp(`is already used by ${other.datasetId}. Restore it .* ${bed.id} --as <name>`),
    );
    const restored = bed.core.restore(bed.id, "db2", bed.pass());
    expect(restored).toMatchObject({
      deletion: null,
      metadata: { name: "db2" },
      claim: { node: a, generation: 2 },
    });
    expect(bed.core.state.names.get("db2")).toBe(bed.id);
  });

  test("gives back what was retained, and what is not yet there as somebody still has it", () => {
    const kept = new LocalBed().heldByA({ reclaim: "retain" });
    kept.delete();
    const used = new LocalBed().heldByA({ reclaim: "delete" });
    used.delete();
    kept.released(a);
    expect(kept.record.deletion?.phase).toBe("retained");
    expect(used.record).toMatchObject({ deletion: { phase: "deleting" }, claim: { node: a } });

    kept.core.restore(kept.id, null, kept.pass());
    used.core.restore(used.id, null, used.pass());

    expect(kept.record.deletion).toBeNull();
    expect(used.record).toMatchObject({ deletion: null, claim: { node: a, generation: 1 } });
    used.tick();
    expect(used.record.op).toBeNull();
  });

  test("gives a dataset back only once every live session has stored its name", () => {
    const bed = trashed();
    bed.core.restore(bed.id, null, bed.pass());
    const outputs = bed.core.drain().outputs;
    expect(outputs.some(({ kind }) => kind === "created")).toBe(false);
    expect(bed.core.state.pendingCreates.get(bed.id)?.waitingFor.size).toBe(3);
  });

  test("is emptied by a person's word, once", () => {
    const bed = trashed();
    bed.core.purge(bed.id, bed.pass());
    const { op } = bed.record;
    bed.core.purge(bed.id, bed.pass());
    expect(bed.record.op).toEqual(op);
    expect(() => bed.core.restore(bed.id, null, bed.pass())).toThrow(/it is being destroyed/);
  });

  test("refuses what is not in it, and says where that is", () => {
    const bed = new LocalBed().heldByA();
    expect(() => bed.core.restore(bed.id, null, bed.pass())).toThrow(/it was not deleted/);
    expect(() => bed.core.purge(bed.id, bed.pass())).toThrow(/it was not deleted/);
  });

  test("does not keep what is deleted by its policy, nor purge what is retained by itself", () => {
    const gone = new LocalBed().heldByA({ reclaim: "delete" });
    gone.delete();
    gone.released(a);
    expect(gone.record.op?.kind).toBe("destroy");
    const kept = new LocalBed().heldByA({ reclaim: "retain" });
    kept.delete();
    kept.released(a);
    run(kept, 8 * day);
    expect(kept.record.deletion?.phase).toBe("retained");
  });
});

describe("a fallback", () => {
  test("is removed after a day of running, once the live copy is settled", () => {
    const bed = new LocalBed().heldByA().moveTo(b);
    run(bed, day - 60_000);
    expect(bed.record.copies).toContainEqual(
      expect.objectContaining({ node: a, role: "fallback", discarding: false }),
    );
    run(bed, 70_000);
    expect(bed.told(a)?.record.copies).toContainEqual(
      expect.objectContaining({ node: a, role: "fallback", discarding: true }),
    );
    bed.report(a, { kind: "discarded" });
    expect(bed.record.copies).toHaveLength(1);
  });

  test("is kept by a clock that jumps, and while the live copy is not settled", () => {
    const jumped = new LocalBed().heldByA().moveTo(b);
    jumped.tick(100 * day);
    expect(jumped.record.copies.some(({ discarding }) => discarding)).toBe(false);
    const unsettled = new LocalBed().heldByA();
    unsettled.order(b);
    unsettled.report(b, { kind: "copied", move: unsettled.move.id });
    unsettled.release(a);
    unsettled.seal(a);
    unsettled.report(b, { kind: "received", move: unsettled.move.id });
    run(unsettled, 2 * day);
    expect(unsettled.record.copies.some(({ discarding }) => discarding)).toBe(false);
  });
});

describe("a copy that diverged", () => {
  test("is made by a person's word, while the newest fallback becomes the live copy", () => {
    const bed = parted();
    expect(liveCopy(bed.record)?.node).toBe(a);
    expect(bed.record).toMatchObject({ claim: { node: a }, superseded: [b] });
    const audited = bed.batches.at(-1)?.writes.find(({ kind }) => kind === "audit");
    expect(audited).toMatchObject({
      text: expect.stringContaining(`"promoted":[{"datasetId":"${bed.id}","node":"${a}"`),
    });
    expect(bed.record.copies).toContainEqual(
      expect.objectContaining({ node: b, role: "diverged", discarding: false }),
    );
  });

  test("is not made while the only fallback is on a node that was given up too", () => {
    const bed = new LocalBed().heldByA().moveTo(b);
    bed.disconnect(a);
    bed.declareDead(a);
    bed.disconnect(b);
    bed.declareDead(b);
    expect(liveCopy(bed.record)?.node).toBe(b);
    bed.hello(a);
    bed.declareDead(b);
    expect(liveCopy(bed.record)?.node).toBe(a);
  });

  test("can be rescued as a new dataset once its node has stopped using it", () => {
    const bed = parted();
    const wanted = { datasetId: bed.id, node: b, name: "saved" };
    expect(() => bed.core.rescue(wanted, bed.pass())).toThrow(/has not yet said that it stopped/);
    bed.hello(b);
    bed.report(b, { kind: "cut_done" });
    const saved = bed.core.rescue(wanted, bed.pass());
    expect(saved).toMatchObject({
      metadata: { name: "saved" },
      from: { datasetId: bed.id, node: b },
      primary: b,
      pool: "disks",
    });
    expect(bed.core.state.records.get(saved.datasetId)?.claim?.node).toBe(b);
    expect(bed.record.copies.some(({ role }) => role === "diverged")).toBe(true);
  });

  test("is asked for by its node and under a name that is free", () => {
    const bed = parted();
    bed.hello(b);
    bed.report(b, { kind: "cut_done" });
    expect(() =>
      bed.core.rescue({ datasetId: bed.id, node: c, name: "saved" }, bed.pass()),
    ).toThrow(/has no diverged or fallback copy .* nodes that have one: /);
    expect(() => bed.core.rescue({ datasetId: bed.id, node: b, name: "db" }, bed.pass())).toThrow(
      /already used/,
    );
  });

  test("outlives the deletion of its dataset", () => {
    const bed = parted();
    bed.delete(true);
    bed.released(a);
    bed.report(a, { kind: "op_done", op: bed.record.op?.id ?? bed.core.state.newOp() });
    expect(bed.record).toMatchObject({
      deletion: { phase: "gone" },
      copies: [{ node: b, role: "diverged", discarding: false }],
    });
  });
});

test("a dataset whose only copy was on a removed node can be destroyed", () => {
  const bed = new LocalBed().heldByA();
  bed.disconnect(a);
  bed.core.removeNode(a, bed.pass());
  bed.delete(true);
  expect(bed.record.deletion?.phase).toBe("gone");
});
