import { randomInt } from "node:crypto";
import process from "node:process";
import { expect, test } from "vitest";
import { cellMsMax, MoveCells } from "../harness/crash-cells.ts";
import { useCluster } from "../harness/cluster.ts";
import { victims } from "../harness/stepped-hosts.ts";

const cluster = useCluster({ purpose: "random-deaths", defaultPool: "btrfs" });
const moveCount = Number(process.env["MOVES"] ?? "100");
/** SEED=… lets the same die after the same share of a move. */
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
const processes = victims.filter((victim) => !victim.endsWith("power"));

/** Numbers from 0 to 1, the same for one seed. (mulberry32) */
function* chances(from: number): Generator<number, never> {
  for (let state = from >>> 0; ;) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

test(
  `${moveCount} moves of 64 MiB, in each of which some process dies at some moment, lose nothing`,
  async () => {
    console.log(`SEED=${seed}`);
    const chance = chances(seed);
    const cells = await MoveCells.begin(cluster, 64);
    const failures: string[] = [];
    const seconds: number[] = [];
    for (let move = 0; move < moveCount; move += 1) {
      const victim = processes[Math.floor(chance.next().value * processes.length)] ?? "control";
      // Any moment of a move, on a machine of any speed.
      const usualMs = Math.min(...seconds.slice(-10), 4) * 1000;
      const ms = Math.round(chance.next().value * usualMs);
      const moved = await cells.runFor(victim, ms);
      console.log(
        [move, victim, `${ms} ms`, `${moved.seconds.toFixed(1)} s`, moved.failure ?? ""].join("  "),
      );
      seconds.push(moved.seconds);
      if (moved.failure !== null) failures.push(`SEED=${seed} move ${move}: ${moved.failure}`);
      await cells.change();
    }
    seconds.sort((a, b) => a - b);
    console.log(`slowest ${seconds.at(-1)} s, median ${seconds[Math.trunc(moveCount / 2)]} s`);

    expect(failures).toEqual([]);
    expect(seconds.length).toBe(moveCount);
  },
  moveCount * cellMsMax,
);
