import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ensureMachineId } from "./setup.ts";

test("a machine that has no id gets one, and keeps it", () => {
  const directory = mkdtempSync(join(tmpdir(), "setup-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "machine-id");

  ensureMachineId(file);
  const first = readFileSync(file, "utf8");
  ensureMachineId(file);

  expect(first).toMatch(/^[0-9a-f]{32}\n$/);
  expect(readFileSync(file, "utf8")).toBe(first);
});
