import { expect, test } from "vitest";
import {
  type CellResult,
  CrashCells,
  moveSteps,
  tableOf,
  victims,
} from "../harness/crash-cells.ts";
import { useCluster } from "../harness/cluster.ts";

const cluster = useCluster({ purpose: "local-matrix", defaultPool: "btrfs" });

test("whatever dies at whatever step, the data is whole on the target and live once", async () => {
  const cells = await CrashCells.begin(cluster);
  const results: CellResult[] = [];
  for (const [end, step] of moveSteps) {
    for (const victim of victims) {
      const result = await cells.run({ end, step, victim });
      console.log(tableOf([result]).split("\n")[1]);
      results.push(result);
    }
  }

  expect(results.filter(({ sums }) => sums[0] !== sums[1])).toEqual([]);
  expect(results.filter(({ live }) => live !== 1)).toEqual([]);
  expect(results.length).toBe(moveSteps.length * victims.length);
}, 7_200_000);
