import { afterAll, beforeAll, expect, test } from "vitest";
import { cellMsMax, type CellResult, tableOf } from "../harness/crash-cells.ts";
import { useCluster } from "../harness/cluster.ts";
import { SteppedHosts } from "../harness/stepped-hosts.ts";
import { stories } from "../harness/stories.ts";
import { runCell } from "../harness/story-cells.ts";

const cluster = useCluster({ purpose: "story-matrix", defaultPool: "btrfs" });
const all: CellResult[] = [];
let hosts: SteppedHosts;

beforeAll(async () => {
  hosts = await SteppedHosts.of(cluster);
});

afterAll(() => console.log(tableOf(all)));

for (const story of stories) {
  const cells = story.steps.flatMap(([end, step]) =>
    story.victims.map((victim) => ({ end, step, victim })),
  );
  test(
    `${story.name}: whatever dies at whatever step, all is well in the end`,
    async () => {
      const results: CellResult[] = [];
      for (const cell of cells) {
        const result = await runCell(hosts, story, cell);
        console.log(tableOf([result]).split("\n")[1]);
        if (result.failure !== null) console.log(result.failure);
        results.push(result);
      }
      all.push(...results);

      expect(results.flatMap(({ failure }) => failure ?? [])).toEqual([]);
      expect(results.length).toBe(cells.length);
    },
    cells.length * cellMsMax,
  );
}
