import { readFileSync } from "node:fs";

/** The cells of every table row of a page, its heads and rules left out; without back-quotes. */
export function tableRows(path: string): readonly (readonly string[])[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines
    .filter((line, index) => isRow(line) && !isRule(line) && !isRule(lines[index + 1] ?? ""))
    .map((line) =>
      line
        .slice(1, line.lastIndexOf("|"))
        .split("|")
        .map((cell) => cell.trim().replaceAll("`", "")),
    );
}

function isRow(line: string): boolean {
  return line.startsWith("|");
}

function isRule(line: string): boolean {
  return /^\|(?:-+\|)+$/.test(line.replaceAll(/[ :]/g, ""));
}
