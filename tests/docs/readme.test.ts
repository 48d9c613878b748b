import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { copiesOf, hostBlocks } from "./host-blocks.ts";

const readme = readFileSync("README.md", "utf8");

test("the README's blocks for hosts name h1, h2 or you, and yours only copy files", () => {
  const blocks = hostBlocks();
  const yours = blocks.filter(({ host }) => host === "you");

  expect(new Set(blocks.map(({ host }) => host))).toEqual(new Set(["h1", "h2", "you"]));
  expect(yours.flatMap(copiesOf).length).toBeGreaterThan(0);
  expect(() => copiesOf({ host: "you", text: "rm h1:/x h2:/x" })).toThrow(/not a copy/);
});

test("the README says what Flocker is in six lines before its first section", () => {
  const [, intro = ""] = /^# Flocker\n\n([\s\S]*?)\n\n## /m.exec(readme) ?? [];

  expect(intro.length).toBeGreaterThan(100);
  expect(intro.split("\n").length).toBeLessThanOrEqual(6);
});

test("the first commands of the README exist", () => {
  expect(["demo", "test", "tools/setup.sh"].filter((path) => !existsSync(path))).toEqual([]);
});
