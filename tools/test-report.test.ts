import { expect, test } from "vitest";
import { Tally, type VitestReport, requiredKinds } from "./test-report.ts";

const one = (file: string, title: string, status = "passed"): VitestReport => ({
  success: status === "passed",
  testResults: [{ name: file, status, assertionResults: [{ ancestorTitles: [title], status }] }],
});

test("a test counts by its file, the title above it, or its project", () => {
  const tally = new Tally();

  tally.addVitest("unit", one("src/a.test.ts", "adding"), 0);
  tally.addVitest("unit", one("src/a.property.test.ts", "adding"), 0);
  tally.addVitest("unit", one("src/b.test.ts", "conformance memory: attach"), 0);
  tally.addVitest("integration", one("tests/l.test.ts", "conformance loopback"), 0);

  for (const kind of ["unit", "property", "conformance memory", "conformance loopback"]) {
    expect(tally.lines()).toContain(`${kind.padEnd(26)} 1 passed, 0 failed`);
  }
});

test("a kind without any test is a failure", () => {
  const tally = new Tally();

  tally.add("unit", { passed: 3, failed: 0 });

  expect(tally.total()).toEqual({ passed: 3, failed: requiredKinds.length - 1 });
  expect(tally.lines().at(-1)).toBe(`3 passed, ${requiredKinds.length - 1} failed`);
});

test("a skipped test, a file that does not load and a run without a report are failures", () => {
  const tally = new Tally();
  for (const kind of requiredKinds) tally.add(kind, { passed: 1, failed: 0 });

  tally.addVitest("unit", one("src/a.test.ts", "adding", "skipped"), 0);
  tally.addVitest(
    "unit",
    { success: false, testResults: [{ name: "b", status: "failed", assertionResults: [] }] },
    1,
  );
  tally.addVitest("unit", null, 0);
  tally.addVitest("unit", one("src/a.test.ts", "adding"), 1);

  expect(tally.total()).toEqual({ passed: requiredKinds.length + 1, failed: 4 });
});
