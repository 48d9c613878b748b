import { expect, test } from "vitest";
import {
  type CellResult,
  CrashCells,
  moveSteps,
  tableOf,
  victims,
} from "../harness/crash-cells.ts";
import { useCluster } from "../harness/cluster.ts";

const cluster = useCluster({ purpose: "local-crash", defaultPool: "btrfs" });

/** The whole table is `npm run vitest -- run --project matrix`; here each step has one victim. */
test("whatever dies at a step of a move, the data is whole on the target and live once", async () => {
  const cells = await CrashCells.begin(cluster);
  const results: CellResult[] = [];
  for (const [index, [end, step]] of moveSteps.entries()) {
    const victim = victims[index % victims.length] ?? "control";
    results.push(await cells.run({ end, step, victim }));
  }
  console.log(tableOf(results));

  expect(results.filter(({ sums }) => sums[0] !== sums[1])).toEqual([]);
  expect(results.filter(({ live }) => live !== 1)).toEqual([]);
  expect(results.length).toBe(moveSteps.length);
});
