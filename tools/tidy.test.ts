import { describe, expect, test } from "vitest";
import { budgetViolations, layerOf, layerViolations, sourceFiles } from "./tidy.ts";

describe("the tree", () => {
  const source = sourceFiles("src");

  test("imports follow the table of layers", () => {
    expect(source.length).toBeGreaterThan(5);
    expect(layerViolations(source)).toEqual([]);
  });

  test("sizes and names are inside their budgets", () => {
    expect(budgetViolations(source)).toEqual([]);
    expect(budgetViolations(sourceFiles("tools"))).toEqual([]);
    expect(budgetViolations(sourceFiles("tests"))).toEqual([]);
  });
});

describe("planted violations are found", () => {
  test("a pure layer that imports an impure one", () => {
    const planted = [
      { path: "planner/plan.ts", text: 'import { x } from "../control/core/y.ts";' },
    ];
    expect(layerViolations(planted)).toEqual([
      "src/planner/plan.ts (planner) must not import control/core",
    ]);
  });

  test("a file outside of every layer", () => {
    expect(layerViolations([{ path: "extra/a.ts", text: "" }])).toEqual([
      "src/extra/a.ts is in no layer of tools/tidy.ts",
    ]);
  });

  test("long files, empty names, deep imports, leftovers and tests that do not run", () => {
    const deep = `from "${"../".repeat(3)}a.ts"`;
    const text = [
      ["// TO", "DO later"].join(""),
      deep,
      ["test.", 'skip("x")'].join(""),
      "y".repeat(101),
    ].join("\n");
    const found = budgetViolations([
      { path: "lib/utils.ts", text },
      { path: "lib/long.ts", text: "\n".repeat(401) },
    ]);
    expect(found.map((line) => line.replace(/^\S+ /, ""))).toEqual([
      "a name that says nothing",
      "imports 3 folders up",
      "left for later",
      "a test that does not always run",
      "over 100 columns",
      "401 lines, over 400",
    ]);
  });

  test("a folder with too many files, not counting those of tests alone", () => {
    const files = Array.from({ length: 16 }, (_, index) => `lib/file${index}.ts`);
    const ofTests = ["lib/test-bench.ts", "lib/a.test.ts"];
    const some = [...files.slice(1), ...ofTests].map((path) => ({ path, text: "" }));
    expect(budgetViolations(some)).toEqual([]);
    const all = files.map((path) => ({ path, text: "" }));
    expect(budgetViolations(all)).toEqual(["lib: 16 files, over 15"]);
  });

  test("the longest layer wins", () => {
    expect(layerOf("control/core/step.ts")).toBe("control/core");
    expect(layerOf("control/api/app.ts")).toBe("control");
  });
});
