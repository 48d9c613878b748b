import { randomInt } from "node:crypto";
import process from "node:process";
import { expect, test } from "vitest";
import { Prng } from "../../src/sim/prng.ts";
import { cellMsMax, MoveCells } from "../harness/crash-cells.ts";
import { useCluster } from "../harness/cluster.ts";
import { victims } from "../harness/stepped-hosts.ts";

const cluster = useCluster({ purpose: "random-deaths", defaultPool: "btrfs" });
const moveCount = Number(process.env["MOVES"] ?? "100");
/** SEED=… lets the same die after the same share of a move. */
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
const processes = victims.filter((victim) => !victim.endsWith("power"));

test(
  `${moveCount} moves of 64 MiB, in each of which some process dies at some moment, lose nothing`,
  async () => {
    console.log(`SEED=${seed}`);
    const prng = new Prng(seed);
    const cells = await MoveCells.begin(cluster, 64);
    const failures: string[] = [];
    const seconds: number[] = [];
    for (let move = 0; move < moveCount; move += 1) {
      const victim = prng.pick(processes) ?? "control";
      // Any moment of a move, on a machine of any speed.
      const usualMs = Math.min(...seconds.slice(-10), 4) * 1000;
      const ms = Math.round(prng.next() * usualMs);
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
