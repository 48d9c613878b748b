import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";

const waitSeconds = 120;

/** Held by one process of this machine at a time; the kernel lets go of it when that one dies. */
export function lock(path: string): Disposable {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, "a");
  // The lock belongs to the open file, which the child merely borrows. (flock(2))
  const { status } = spawnSync("flock", ["-w", String(waitSeconds), "3"], {
    stdio: ["ignore", "ignore", "inherit", file],
  });
  if (status !== 0) {
    closeSync(file);
    throw new Error(`another command has been changing the hosts for ${waitSeconds} s (${path})`);
  }
  return { [Symbol.dispose]: () => closeSync(file) };
}
