import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Marks } from "./marks.ts";
import { mutants } from "./mutants/mutants.ts";
import { parseScenario, play } from "./scenario.ts";
import { simulate } from "./simulate.ts";

const here = new URL("./", import.meta.url);

function scenarios(): readonly ReturnType<typeof parseScenario>[] {
  const folder = new URL("scenarios/", here);
  return readdirSync(folder).map((file) =>
    parseScenario(file, readFileSync(new URL(file, folder), "utf8")),
  );
}

test("one seed is one history", async () => {
  const first = await simulate(7, { marks: new Marks() });
  const again = await simulate(7, { marks: new Marks() });
  const other = await simulate(8, { marks: new Marks() });

  expect(again.hash).toBe(first.hash);
  expect(again.events).toBe(first.events);
  expect(other.hash).not.toBe(first.hash);
});

test("a planted violation is found and replays", async () => {
  const planted = mutants.find(({ name }) => name === "b41");
  if (planted === undefined) throw new Error("there is a mutant b41");
  const options = { marks: new Marks(), traits: planted.traits };

  let seed = 1;
  let first = await simulate(seed, { ...options, flaws: planted.flaws() });
  while (first.violation?.checker !== "K12" && seed < 20) {
    seed += 1;
    first = await simulate(seed, { ...options, flaws: planted.flaws() });
  }
  const again = await simulate(seed, { ...options, flaws: planted.flaws() });

  expect(first.violation?.checker).toBe("K12");
  expect(again).toEqual(first);
});

describe("the checkers stand outside", () => {
  const folder = new URL("checkers/", here);
  const allowed = /^(?:\.\/[^/]+|\.\.\/world\/world-event\.ts|\.\.\/\.\.\/lib\/[^/]+)$/;

  test.each(readdirSync(folder))("%s imports nothing of the product", (file) => {
    const text = readFileSync(new URL(file, folder), "utf8");
    const imports = [...text.matchAll(/from "([^"]+)"/g)].map((match) => match[1] ?? "");

    expect(imports.filter((path) => !allowed.test(path))).toEqual([]);
  });

  test("what they see of the world imports nothing", () => {
    expect(readFileSync(new URL("world/world-event.ts", here), "utf8")).not.toMatch(/\bimport\b/);
  });
});

describe("directed scenarios", () => {
  test.each(scenarios())("$name holds without a mutant", async (scenario) => {
    expect(await play(scenario)).toBeNull();
  });

  test.each(
    scenarios().flatMap((scenario) => scenario.mutants.map((name) => ({ scenario, name }))),
  )("$scenario.name finds $name", async ({ scenario, name }) => {
    const mutant = mutants.find((one) => one.name === name);
    if (mutant === undefined) throw new Error(`there is a mutant ${name}`);
    const violation = await play(scenario, { flaws: mutant.flaws(), only: mutant.checker });

    expect(violation?.checker).toBe(mutant.checker);
  });
});
