import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** Replaces the file at once: a reader sees the old or the new value, never half of one. */
export function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value)}\n`);
  renameSync(`${path}.new`, path);
}

/** What is in the file; null when there is none. The bed alone writes these files. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- names what is in the file
export function readJson<T>(path: string): T | null {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by writeJson
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    return null;
  }
}
