import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLogger } from "../lib/log.ts";
import { writePidFile } from "./pid-file.ts";

const log = createLogger("error");

test("a pid file is replaced whole, never emptied, and goes with its process", async () => {
  const directory = mkdtempSync(join(tmpdir(), "flocker-pid-"));
  try {
    const path = join(directory, "run", "service.pid");
    const first = await writePidFile(path, log);
    writeFileSync(path, "1\n");
    const reader = openSync(path, "r");

    await writePidFile(path, log);

    expect(readFileSync(reader, "utf8")).toBe("1\n");
    closeSync(reader);
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
    await first[Symbol.asyncDispose]();
    expect(existsSync(path)).toBe(false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
