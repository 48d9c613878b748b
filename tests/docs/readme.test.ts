import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const readme = readFileSync("README.md", "utf8");

type Block = { readonly host: string; readonly text: string };

/** Blocks that name the host they are to be run on: "```sh host=h1". */
function hostBlocks(text: string): readonly Block[] {
  return [...text.matchAll(/^```sh host=(\S+)\n([\s\S]*?)^```$/gm)].map(
    ([, host = "", block = ""]) => ({ host, text: block }),
  );
}

test("the README's blocks for hosts name h1, h2 or you, and yours only copy files", () => {
  const blocks = hostBlocks(readme);

  expect(new Set(blocks.map(({ host }) => host))).toEqual(new Set(["h1", "h2", "you"]));
  const yours = blocks
    .filter(({ host }) => host === "you")
    .flatMap(({ text }) => text.trim().split("\n"));
  expect(yours.filter((line) => !/^scp h[12]:\/\S+ h[12]:\/\S+$/.test(line))).toEqual([]);
});

test("the README says Flocker in five lines before its first section", () => {
  const [, intro = ""] = /^# Flocker\n\n([\s\S]*?)\n\n## /m.exec(readme) ?? [];

  expect(intro.split("\n").length).toBeLessThanOrEqual(6);
});

test("the first commands of the README exist", () => {
  expect(["demo", "test", "tools/setup.sh"].filter((path) => !existsSync(path))).toEqual([]);
});
