import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { tableRows } from "./markdown.ts";

const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync("docs", { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path) => join("docs", path)),
].sort();

test("CONTRIBUTING gives a reason for each dependency and for nothing else", () => {
  const manifest = readFileSync("package.json", "utf8");
  const named = (key: string): readonly string[] => {
    const [, body = ""] = new RegExp(`"${key}": \\{([^}]*)\\}`).exec(manifest) ?? [];
    return [...body.matchAll(/"([^"]+)":/g)].map(([, name = ""]) => name);
  };
  const rows = tableRows("CONTRIBUTING.md");

  expect(rows.length).toBeGreaterThan(10);
  expect(rows.map(([name = ""]) => name).sort()).toEqual(
    [...named("dependencies"), ...named("devDependencies")].sort(),
  );
  expect(rows.filter(([, why = ""]) => why.length < 12)).toEqual([]);
});

test("the files that checklists name exist", () => {
  const text = readFileSync("CONTRIBUTING.md", "utf8");
  const paths = [...text.matchAll(/`((?:src|tools|docs)\/[^`<\s]+)`/g)].map(
    ([, path = ""]) => path,
  );

  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !existsSync(path))).toEqual([]);
});

describe.each(pages)("%s", (page) => {
  const text = readFileSync(page, "utf8");

  test("has one title, and it is the first line", () => {
    const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
    expect(prose.match(/^# .+/gm)).toHaveLength(1);
    expect(text).toMatch(/^# \S/);
  });

  test("links to files that exist", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = ""]) => link);
    expect(links.filter((link) => !existsSync(join(dirname(page), link)))).toEqual([]);
  });

  test("names no directory of one developer's machine and no package registry", () => {
    expect(text.match(/\/home\/\w+|\/work\/|\/tmp\/\w+\/|npmjs|:4873|localhost:\d/g)).toBeNull();
  });
});

test("each decision has its number, a status, a date, three parts, and at most a page", () => {
  const files = readdirSync("docs/adr").sort();

  expect(files.map((file) => Number(file.slice(0, 4)))).toEqual(files.map((_, index) => index + 1));
  for (const file of files) {
    const text = readFileSync(join("docs/adr", file), "utf8");
    expect(text).toMatch(new RegExp(`^# ${file.slice(0, 4)}\\. \\S`));
    expect(text).toMatch(/^Status: (?:accepted|superseded by \d{4}) · \d{4}-\d\d-\d\d$/m);
    expect(text.match(/^## .+$/gm)).toEqual(["## Context", "## Decision", "## Consequences"]);
    expect(text.split("\n").length).toBeLessThanOrEqual(60);
  }
});
