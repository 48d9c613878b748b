import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { layers } from "../../tools/tidy.ts";

const text = readFileSync("ARCHITECTURE.md", "utf8");
const section = (title: string): string => {
  const [, body = ""] = text.split(`\n## ${title}\n`);
  return body.split("\n## ")[0] ?? "";
};

type Claim = { readonly claim: string; readonly tests: readonly NamedTest[] };
type NamedTest = { readonly path: string; readonly name: string };

/** The numbered claims of a section, each with the tests that it names: `path` "name" and "name". */
function claims(title: string): readonly Claim[] {
  const items = section(title)
    .split(/^(?=\d+\. )/m)
    .slice(1);
  return items.map((item) => {
    const flat = item.replaceAll(/\s+/g, " ");
    const tests = [...flat.matchAll(/`([^`]+\.test\.ts)`((?:(?: and)? "[^"]+")+)/g)].flatMap(
      ([, path = "", names = ""]) =>
        [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => ({ path, name })),
    );
    return { claim: flat.slice(0, 60), tests };
  });
}

/** Whether a test file has a test of that name; names that are continued over lines count. */
function exists({ path, name }: NamedTest): boolean {
  return existsSync(path) && readFileSync(path, "utf8").includes(`"${name}"`);
}

describe.each(["Guarantees", "Non-guarantees"])("%s", (title) => {
  test("each names at least one test", () => {
    const without = claims(title).filter(({ tests }) => tests.length === 0);

    expect(claims(title).length).toBeGreaterThan(5);
    expect(without.map(({ claim }) => claim)).toEqual([]);
  });

  test("each named test is in the tree", () => {
    const missing = claims(title).flatMap(({ tests }) => tests.filter((one) => !exists(one)));

    expect(missing).toEqual([]);
  });
});

test("a test that does not exist is noticed", () => {
  expect(exists({ path: "src/domain/record.test.ts", name: "is thought up" })).toBe(false);
  expect(exists({ path: "src/no-such.test.ts", name: "is thought up" })).toBe(false);
});

test("the code map has every folder that the table of layers knows, and no other", () => {
  const folders = new Set(Object.keys(layers).map((layer) => `src/${layer.split("/")[0]}`));
  const mapped = [...section("Code map").matchAll(/^\| `(src\/[^`]+)`/gm)].map(
    ([, path = ""]) => path,
  );

  expect(mapped.sort()).toEqual([...folders].sort());
});

test("ARCHITECTURE.md can be read in one sitting: at most 500 lines", () => {
  expect(text.split("\n").length).toBeLessThanOrEqual(501);
});
