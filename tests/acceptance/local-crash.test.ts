import { expect, test } from "vitest";
import {
  cellMsMax,
  type CellResult,
  MoveCells,
  moveSteps,
  tableOf,
} from "../harness/crash-cells.ts";
import { useCluster } from "../harness/cluster.ts";
import { victims } from "../harness/stepped-hosts.ts";

const cluster = useCluster({ purpose: "local-crash", defaultPool: "btrfs" });

/** The whole table is `npm run vitest -- run --project matrix`; here each step has one victim. */
test(
  "whatever dies at a step of a move, the data is whole on the target and live once",
  async () => {
    const cells = await MoveCells.begin(cluster);
    const results: CellResult[] = [];
    for (const [index, [end, step]] of moveSteps.entries()) {
      const result = await cells.run({
        end,
        step,
        victim: victims[index % victims.length] ?? "control",
      });
      results.push(result);
      // One failure is enough to look at; the others would cost minutes.
      if (result.failure !== null) break;
    }
    console.log(tableOf(results));

    expect(results.flatMap(({ failure }) => failure ?? [])).toEqual([]);
    expect(results.length).toBe(moveSteps.length);
  },
  moveSteps.length * cellMsMax,
);
