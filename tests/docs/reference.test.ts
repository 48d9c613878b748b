import { expect, test } from "vitest";
import { conditionCodes, conditionOfError } from "../../src/domain/condition.ts";
import { errorCodes, isErrorCode } from "../../src/lib/errors.ts";
import { sourceFiles } from "../../tools/tidy.ts";
import { tableRows } from "./markdown.ts";

test("errors.md has one line for each code, with its status and retry", () => {
  const inCode = Object.entries(errorCodes).map(
    ([code, { http, retry }]) => `${code} ${http} ${retry}`,
  );
  const rows = tableRows("docs/reference/errors.md");

  expect(rows.map(([code, http, retry]) => `${code} ${http} ${retry}`).sort()).toEqual(
    inCode.sort(),
  );
  expect(withoutText(rows, 5)).toEqual([]);
});

test("conditions.md has one line for each code, with its kind", () => {
  const inCode = Object.entries(conditionCodes).map(([code, kind]) => `${code} ${kind}`);
  const rows = tableRows("docs/reference/conditions.md");

  expect(rows.map(([code, kind]) => `${code} ${kind}`).sort()).toEqual(inCode.sort());
  expect(withoutText(rows, 4)).toEqual([]);
});

test("each condition is set by some code, not only described", () => {
  const elsewhere = sourceFiles("src")
    .filter(({ path }) => !/\.test\.ts$|^domain\/condition\.ts$|^lib\/errors\.ts$/.test(path))
    .map(({ text }) => text)
    .join("\n");
  // Those that errors are shown as stand in the table beside the codes.
  const byError = Object.keys(errorCodes).map((code) =>
    conditionOfError(isErrorCode(code) ? code : null),
  );
  const unset = Object.keys(conditionCodes).filter(
    (code) => !elsewhere.includes(`"${code}"`) && !byError.some((one) => one === code),
  );
  expect(unset).toEqual([]);
});

test("logs.md has one line for each event and level that the code logs", () => {
  const rows = tableRows("docs/reference/logs.md");
  const inCode = new Set(logged().map(({ event, level }) => `${event} ${level}`));

  // Missing here? Add a row to docs/reference/logs.md: event, level, fields, when; then npx oxfmt.
  expect(rows.map(([event, level]) => `${event} ${level}`).sort()).toEqual([...inCode].sort());
  expect(withoutText(rows, 4)).toEqual([]);
});

test("each field in logs.md is a word of a file that logs the event", () => {
  const unknown = tableRows("docs/reference/logs.md").flatMap(([event, , fields = ""]) => {
    const texts = logged().filter((one) => one.event === event);
    const isWord = (field: string): boolean =>
      texts.some(({ text }) => new RegExp(`\\b${field}\\b`).test(text));
    return fields
      .split(", ")
      .filter((field) => field !== "–" && !isWord(field))
      .map((field) => `${event}: ${field}`);
  });

  expect(unknown).toEqual([]);
});

test("an event is a noun and a past participle, each of lower case words", () => {
  const wrong = logged().filter(
    ({ event }) => !/^[a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*$/.test(event),
  );

  expect(wrong.map(({ event }) => event)).toEqual([]);
});

type Logged = { readonly event: string; readonly level: string; readonly text: string };

/** Every literal event of a logger, or of a core's `log` effect, in the sources. */
function logged(): readonly Logged[] {
  const files = sourceFiles("src").filter(({ path }) => !path.endsWith(".test.ts"));
  return files.flatMap(({ text }) => [
    ...found(text, /\blog\??\.(error|warn|info|debug)\(\s*"([^"]+)"/g),
    ...found(text, /\.log\(\s*"(error|warn|info|debug)",\s*"([^"]+)"/g),
    ...found(text, /kind: "log",\s*level: "(error|warn|info|debug)",\s*event: "([^"]+)"/g),
  ]);
}

function found(text: string, pattern: RegExp): readonly Logged[] {
  return [...text.matchAll(pattern)].map(([, level = "", event = ""]) => ({ event, level, text }));
}

function withoutText(
  rows: readonly (readonly string[])[],
  cells: number,
): readonly (readonly string[])[] {
  return rows.filter((row) => row.length !== cells || row.some((cell) => cell === ""));
}

test("the tables are read whole: a planted row without text is seen", () => {
  expect(withoutText([["A", ""]], 2)).toEqual([["A", ""]]);
});
