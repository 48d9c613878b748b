import { expect, test } from "vitest";
import { actionSteps, sendSteps, stepped, stepTable } from "./steps.ts";

test("the table has each step of every action once", () => {
  const all = Object.values<readonly string[]>(stepTable).flat();
  const ofActions = Object.entries(actionSteps).flatMap(([kind, steps]) =>
    steps.map((step) => `${kind}.${step}`),
  );
  const ofSends = sendSteps.map((step) => `send.${step}`);
  const others = all.filter((step) => !step.startsWith("report."));

  expect(others.sort()).toEqual([...ofActions, ...ofSends].sort());
  expect(new Set(all).size).toBe(all.length);
});

test("a step that failed is not announced as done", async () => {
  const heard: string[] = [];
  const onStep = async (step: string, when: string): Promise<void> => {
    heard.push(`${when} ${step}`);
  };

  await stepped(onStep, "seal_live.prove", async () => {});
  const failed = stepped(onStep, "seal_live.seal", () => Promise.reject(new Error("held")));

  await expect(failed).rejects.toThrow("held");
  expect(heard).toEqual([
    "before seal_live.prove",
    "after seal_live.prove",
    "before seal_live.seal",
  ]);
});
