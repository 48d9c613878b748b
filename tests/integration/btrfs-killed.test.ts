import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Call } from "../../src/backends/attachable.ts";
import { directoryProbe as files } from "../../src/backends/conformance/directory-probe.ts";
import {
  kinds,
  mebi,
  moveOver,
  newIdentity,
  newLive,
  newReceived,
} from "../../src/backends/conformance/local-bench.ts";
import { btrfsBench } from "./btrfs-bench.ts";

const sizeBytes = 16 * mebi;
const momentsMs = [1, 6, 11, 17, 23, 30, 38, 47, 60, 80, 110, 150];
const { fill } = files;
/** How often the three tests below call `killedAndRepeated`. */
const callsKilledAtOnce = 10;
let killed = 0;
let bench: Awaited<ReturnType<typeof btrfsBench>>;

beforeAll(async () => {
  bench = await btrfsBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** Kills the driver's shell after a while, wherever it is then, and calls once more. */
async function killedAndRepeated(ms: number, run: (call: Call) => Promise<void>): Promise<void> {
  try {
    await run({ ...bench.call, signal: AbortSignal.timeout(ms) });
  } catch {
    killed += 1;
  }
  await run(bench.call);
}

describe.each(momentsMs)("a call that is killed after %i ms and repeated", (ms) => {
  test("creates one empty volume with its limit", async () => {
    const { backend } = bench;
    const identity = newIdentity(bench);
    const { datasetId } = identity;

    await killedAndRepeated(ms, (call) => backend.create({ datasetId, identity, sizeBytes }, call));

    expect(await backend.look(datasetId, bench.call)).toEqual([{ kind: "live", identity }]);
    expect(await fill({ backend, datasetId }, 2 * sizeBytes)).toBeLessThanOrEqual(sizeBytes);
    await backend.destroy(datasetId, bench.call);
  });

  test("seals, opens again and moves what was there, and stamps it", async () => {
    const { backend, otherBackend } = bench;
    const { datasetId, identity, at } = await newLive(bench, "kept");
    const there = { backend: otherBackend, datasetId };
    const move = bench.newOp();
    await killedAndRepeated(ms, (call) => backend.seal({ datasetId, move }, call));
    expect(await kinds(at, bench.call)).toEqual(["sealed"]);
    await killedAndRepeated(ms, (call) => backend.reopen({ datasetId, sizeBytes }, call));
    await killedAndRepeated(ms, (call) => backend.stamp({ ...identity, generation: 2 }, call));
    expect(await files.read(at, "file")).toBe("kept");
    await files.write(at, "file", "changed");

    await moveOver(bench, { datasetId, move });
    await killedAndRepeated(ms, (call) =>
      otherBackend.promote({ datasetId, move, sizeBytes }, call),
    );

    await otherBackend.seal({ datasetId, move: bench.newOp() }, bench.call);
    await killedAndRepeated(ms, (call) =>
      otherBackend.promote({ datasetId, move, sizeBytes }, call),
    );

    expect(await files.read(there, "file")).toBe("changed");
    expect(await fill(there, 2 * sizeBytes)).toBeLessThanOrEqual(sizeBytes);
    expect(await otherBackend.look(datasetId, bench.call)).toMatchObject([
      { kind: "live", identity: { ...identity, generation: 2 } },
      { kind: "received", move },
    ]);
    for (const driver of [backend, otherBackend]) await driver.destroy(datasetId, bench.call);
  });

  test("diverges, discards and destroys", async () => {
    const { backend, otherBackend } = bench;
    const { datasetId, move, at, there } = await newReceived(bench);
    const spare = await newReceived(bench);
    await killedAndRepeated(ms, (call) => backend.diverge(datasetId, null, call));
    await killedAndRepeated(ms, (call) => otherBackend.diverge(datasetId, move, call));
    await killedAndRepeated(ms, (call) => otherBackend.discard(spare.datasetId, call));
    expect(await kinds(at, bench.call)).toEqual(["diverged"]);
    expect(await kinds(there, bench.call)).toEqual(["diverged"]);
    expect(await kinds(spare.there, bench.call)).toEqual([]);
    const other = await newLive(bench);

    await killedAndRepeated(ms, (call) => backend.destroy(other.datasetId, call));

    expect(await kinds(other.at, bench.call)).toEqual([]);
  });
});

test("calls were killed before they were done, however fast this machine is", () => {
  // No shell that a call starts is done after the first of these moments.
  expect(killed).toBeGreaterThanOrEqual(callsKilledAtOnce);
});
