import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Call } from "../../src/backends/attachable.ts";
import type { Device } from "../../src/domain/volume.ts";
import { readBlockDevice } from "../../src/lib/block-device.ts";
import { silentLogger } from "../../src/lib/log.ts";

export const mebi = 2 ** 20;

/** Runs a program and returns what it printed; for arranging and looking, never for the product. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** True if the program ends with status 0. */
export function succeeds(command: string, ...args: readonly string[]): boolean {
  try {
    run(command, ...args);
    return true;
  } catch {
    return false;
  }
}

/** A directory on disk (not a tmpfs: loop devices want direct I/O), removed at the end. */
export function scratch(stack: AsyncDisposableStack): string {
  const directory = mkdtempSync("/var/tmp/flocker-test-");
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function call(lockFile?: string): Call {
  return {
    signal: new AbortController().signal,
    deadlineMs: 20_000,
    lockFile,
    log: silentLogger,
  };
}

/** A sparse image with a loop device of its own; both are gone at the end. */
export async function loopImage(
  stack: AsyncDisposableStack,
  directory: string,
  options: { readonly name?: string; readonly sizeBytes?: number } = {},
): Promise<{ readonly file: string; readonly device: Device }> {
  const file = join(directory, options.name ?? "a.img");
  mkdirSync(directory, { recursive: true });
  writeFileSync(file, "");
  truncateSync(file, options.sizeBytes ?? 64 * mebi);
  const path = run("losetup", "--find", "--show", "--direct-io=on", file).trim();
  const diskSequence = (await readBlockDevice(path))?.diskSequence ?? -1;
  stack.defer(async () => {
    const now = await readBlockDevice(path);
    if (now?.diskSequence === diskSequence) succeeds("losetup", "-d", path);
  });
  return { file, device: { path, diskSequence } };
}
