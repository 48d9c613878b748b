import { beforeEach, describe, expect, test } from "vitest";
import { ops } from "../../domain/record-samples.ts";
import { liveCopy } from "../../domain/record.ts";
import { silentLogger } from "../../lib/log.ts";
import { a, b, type BenchNode, datasetId, MoveBench } from "./move-bench.ts";

let bench: MoveBench;
let source: BenchNode;
let target: BenchNode;

beforeEach(async () => {
  bench = new MoveBench();
  source = bench.at(a);
  target = bench.at(b);
  bench.grant(a);
  await bench.until(() => source.shown);
});

const putAside = (): readonly object[] =>
  target.pool.at(datasetId).diverged.map(({ files }) => Object.fromEntries(files));
const seals = (): number => source.done.filter((step) => step === "seal_live").length;
const moved = (): boolean => bench.record.move === null && liveCopy(bench.record)?.node === b;

test("a dataset is created once, and shown after everything about it was recorded", () => {
  expect(source.steps).toEqual([
    "create_live",
    "says volume_created",
    "says formatted",
    "show_live",
  ]);
  expect(bench.record.copies).toMatchObject([{ node: a, role: "live" }]);
});

test("what is given back without a move stays where it is, hidden and synced", async () => {
  source.write("file", "1");
  bench.event({ kind: "deletion_asked", atMs: 1, reclaim: "trash" });
  await bench.until(() => bench.record.claim === null);

  expect(source.shown).toBe(false);
  expect(source.host.bound.size).toBe(0);
  expect(source.steps.slice(-2)).toEqual(["hide_live", "says released"]);
  expect(source.read()).toEqual({ file: "1" });
});

describe("a move", () => {
  test("brings everything: what was there before, and what was written until the seal", async () => {
    source.write("early", "1");
    bench.openMove(b);
    await bench.until(() => bench.record.move?.phase === "copied");
    source.write("late", "2");
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);

    expect(target.read()).toEqual({ early: "1", late: "2" });
    expect(source.shown).toBe(false);
    expect(bench.record.copies).toMatchObject([
      { node: b, role: "live", settled: true },
      { node: a, role: "fallback" },
    ]);
    expect(source.steps.slice(4)).toEqual(["hide_live", "seal_live", "says sealed"]);
    expect(target.steps).toEqual([
      "receive_copy",
      "says copied",
      "receive_copy",
      "says received",
      "promote_received",
      "says settled",
      "show_live",
    ]);
  });

  test("lets the source go on while the bulk is on its way", async () => {
    bench.whileStreaming = async () => {
      expect(source.shown).toBe(true);
      source.write("meanwhile", "1");
    };
    bench.openMove(b);
    await bench.until(() => bench.record.move?.phase === "copied");
    bench.whileStreaming = null;
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);

    expect(target.read()).toEqual({ meanwhile: "1" });
  });

  test("waits for whoever has a file open, and names the process", async () => {
    const { volume } = source.pool.at(datasetId);
    if (volume === null) throw new Error("no volume");
    bench.openMove(b);
    await bench.until(() => bench.record.move?.phase === "copied");
    const held = source.pool.hold(volume, false);
    for (let count = 0; count < 50; count += 1) {
      bench.nowMs += 500;
      source.step({ kind: "tick" });
      await bench.quiet();
    }
    expect(bench.record.move?.phase).toBe("copied");
    expect(source.shown).toBe(true);

    held[Symbol.dispose]();
    await bench.until(moved);
  });

  test("brings what an open file wrote after the seal, before the source confirms", async () => {
    let late = 0;
    bench.beforeConfirm = () => {
      late += 1;
      if (late === 1) source.write("after the seal", "1");
    };
    bench.openMove(b);
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);

    expect(target.read()).toEqual({ "after the seal": "1" });
    expect(source.steps.filter((step) => step === "seal_live")).toHaveLength(2);
    expect(target.steps).toContain("receive_copy: It is not what was sealed.");
  });

  test("is not confirmed to a target that has what an earlier seal of the source sent", async () => {
    let late = 0;
    bench.beforeConfirm = async () => {
      late += 1;
      if (late > 1) return;
      source.write("after the seal", "1");
      // The source sees it by itself, and seals anew before it is asked.
      for (let turns = 0; turns < 10_000 && seals() < 2; turns += 1) {
        bench.nowMs += 100;
        source.step({ kind: "tick" });
        await Promise.resolve();
      }
      expect(seals()).toBe(2);
    };
    bench.openMove(b);
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);

    expect(target.read()).toEqual({ "after the seal": "1" });
    expect(target.done).toContain("receive_copy: It is not what was sealed.");
  });

  test("that is aborted stops the stream at once, and the source goes on from what it has", async () => {
    source.write("file", "1");
    bench.whileStreaming = async () => {
      bench.abortMove();
      await Promise.resolve();
    };
    bench.openMove(b);
    await bench.until(() => bench.record.move === null);
    bench.whileStreaming = null;
    await bench.until(() => bench.record.copies.length === 1);
    await bench.until(() => source.pool.at(datasetId).sent.size === 0);

    expect(source.shown).toBe(true);
    expect(await target.backend.look(datasetId, neverEnding())).toEqual([]);
  });

  test("that is aborted after the seal opens the source again under a new generation", async () => {
    source.write("file", "1");
    bench.openMove(b);
    bench.beforeConfirm = () => bench.abortMove();
    await bench.until(() => bench.record.move === null);
    expect(target.steps.filter((step) => step.startsWith("says"))).not.toContain("says received");
    const { generation } = bench.record;
    bench.grant(a);
    await bench.until(() => source.shown);

    expect(bench.record.claim?.generation).toBe(generation + 1);
    expect(source.read()).toEqual({ file: "1" });
    expect(source.steps.slice(-2)).toEqual(["reopen_sealed", "show_live"]);
    await bench.until(() => bench.record.copies.length === 1);
    expect(await target.backend.look(datasetId, neverEnding())).toEqual([]);
  });

  test("leaves nothing behind but the fallback", async () => {
    bench.openMove(b);
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);

    expect((await target.backend.look(datasetId, neverEnding())).map(({ kind }) => kind)).toEqual([
      "live",
    ]);
    expect(target.done.filter((step) => step === "discard_partial")).toHaveLength(3);
  });

  test("back again takes up where the first one ended", async () => {
    source.write("file", "1");
    bench.openMove(b);
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);
    target.write("file", "2");
    bench.openMove(a);
    await bench.until(() => liveCopy(bench.record)?.node === a);
    bench.grant(a);
    await bench.until(() => source.shown);

    expect(source.read()).toEqual({ file: "2" });
  });
});

describe("what diverged, and could not be put aside yet", () => {
  const [, third, , second] = ops;

  /** At `b`, sealed on its way back to `a` when a person gave `b` up; somebody has it open. */
  async function parted(): Promise<Disposable> {
    bench.openMove(b);
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);
    target.write("file", "only here");
    const { volume } = target.pool.at(datasetId);
    if (volume === null) throw new Error("no volume");
    let holder: Disposable | null = null;
    bench.beforeConfirm = () => {
      holder ??= target.pool.hold(volume, false);
      bench.event({ kind: "overridden", node: b, op: bench.record.lineage, atMs: 1 });
    };
    bench.event({ kind: "move_opened", move: second, target: a, atMs: 1 });
    await bench.until(() => liveCopy(bench.record)?.node === a && bench.record.move === null);
    bench.beforeConfirm = null;
    bench.event({ kind: "move_opened", move: third, target: b, atMs: 2 });
    await bench.quiet();
    if (holder === null) throw new Error("nobody was given up");
    return holder;
  }
  test("outlives a move to its node that is aborted", async () => {
    const holder = await parted();
    bench.event({ kind: "move_aborted", move: third });
    holder[Symbol.dispose]();
    await bench.until(() => bench.record.copies.every(({ discarding }) => !discarding));

    expect(putAside()).toEqual([{ file: "only here" }]);
  });

  test("is also what came with a move, and was never made live", async () => {
    source.write("file", "1");
    bench.openMove(b);
    await bench.until(moved);
    bench.event({ kind: "overridden", node: b, op: bench.record.lineage, atMs: 1 });
    bench.event({ kind: "move_opened", move: second, target: b, atMs: 2 });
    bench.event({ kind: "move_aborted", move: second });
    await bench.until(() => bench.record.copies.every(({ discarding }) => !discarding));

    expect(putAside()).toEqual([{ file: "1" }]);
  });

  test("outlives a move to its node that is committed", async () => {
    const holder = await parted();
    holder[Symbol.dispose]();
    await bench.until(moved);
    bench.grant(b);
    await bench.until(() => target.shown);

    expect(target.read()).toEqual({});
    expect(putAside()).toEqual([{ file: "only here" }]);
  });
});

test("a pool that is gone is a condition; when it is back, everything goes on", async () => {
  source.write("file", "1");
  bench.openMove(b);
  await bench.until(() => bench.record.move?.phase === "copied");
  source.pool.missing = true;
  await bench.until(() => source.state === "pool_missing");
  expect(source.condition).toBe("POOL_MISSING");
  expect(bench.record.move?.phase).toBe("copied");

  source.pool.missing = false;
  await bench.until(moved);
  bench.grant(b);
  await bench.until(() => target.shown);
  expect(target.read()).toEqual({ file: "1" });
});

test("a superseded node ends whoever writes, and keeps what was written", async () => {
  const { volume } = source.pool.at(datasetId);
  if (volume === null) throw new Error("no volume");
  source.write("file", "1");
  using _held = source.pool.hold(volume, true);
  const { node } = source.speaker;
  bench.event({ kind: "overridden", node, op: bench.record.lineage, atMs: 1 });
  await bench.until(() => bench.record.superseded.length === 0);

  expect(source.steps.slice(-2)).toEqual(["stop_access", "says cut_done"]);
  expect(source.shown).toBe(false);
  expect(source.read()).toEqual({ file: "1" });
});

function neverEnding() {
  const { signal } = new AbortController();
  return { signal, deadlineMs: 1_000, log: silentLogger };
}
