import { expect, test } from "vitest";
import {
  cellMsMax,
  type CellResult,
  MoveCells,
  moreMoveSteps,
  moveSteps,
  tableOf,
} from "../harness/crash-cells.ts";
import { useCluster } from "../harness/cluster.ts";
import { victims } from "../harness/stepped-hosts.ts";

const cluster = useCluster({ purpose: "local-matrix", defaultPool: "btrfs" });
const steps = [...moveSteps, ...moreMoveSteps];
const cellCount = steps.length * victims.length;

test(
  "whatever dies at whatever step, the data is whole on the target and live once",
  async () => {
    const cells = await MoveCells.begin(cluster);
    const results: CellResult[] = [];
    for (const [end, step] of steps) {
      for (const victim of victims) {
        const result = await cells.run({ end, step, victim });
        console.log(tableOf([result]).split("\n")[1]);
        results.push(result);
      }
    }

    expect(results.flatMap(({ failure }) => failure ?? [])).toEqual([]);
    expect(results.length).toBe(cellCount);
  },
  cellCount * cellMsMax,
);
