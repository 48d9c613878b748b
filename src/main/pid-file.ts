import { rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { makeDirectory } from "../lib/system.ts";

/**
 * Writes this process' number for scripts, and removes it when disposed. Whoever reads the file
 * sees a whole number, never an empty text: `kill` would take that for 0, its own process group.
 * A service that could not write it serves all the same.
 */
export async function writePidFile(path: string, log: Logger): Promise<AsyncDisposable> {
  try {
    await makeDirectory(dirname(path));
    await writeFile(`${path}.new`, `${process.pid}\n`);
    await rename(`${path}.new`, path);
  } catch (error) {
    log.warn("pid_file.missed", { path, message: messageOf(error) });
  }
  return { [Symbol.asyncDispose]: async () => rm(path, { force: true }) };
}
