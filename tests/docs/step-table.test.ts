import { expect, test } from "vitest";
import { stepTable } from "../../src/planner/steps.ts";
import { moreMoveSteps, moveSteps } from "../harness/crash-cells.ts";
import { stories } from "../harness/stories.ts";

test("each step of the table is one at which the matrix kills", () => {
  const killedAt = [moveSteps, moreMoveSteps, ...stories.map(({ steps }) => steps)].flat();
  const names = new Set<string>(killedAt.map(([, step]) => step));
  const all = Object.values<readonly string[]>(stepTable).flat();

  expect(all.filter((step) => !names.has(step))).toEqual([]);
});
