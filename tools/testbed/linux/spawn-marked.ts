import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { searchPath } from "../../setup.ts";
import { type ProcessIdentity, identify, killAll, processesMarked } from "./process-identity.ts";

/**
 * In the environment of every process that outlives the command which started it. A killed command
 * leaves no process that the next one cannot find.
 */
export const marker = "FLOCKER_TESTBED";

/** Starts a process of the bed in a session of its own; what it says goes to `logFile`. */
export function spawnMarked(
  bedId: string,
  logFile: string,
  command: string,
  args: readonly string[],
): ProcessIdentity {
  const log = openSync(logFile, "a");
  try {
    const child = spawn(command, args, {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: "/",
      env: { PATH: searchPath, HOME: "/root", LANG: "C.UTF-8", [marker]: bedId },
    });
    child.on("error", () => {}); // Its pid stays undefined, which is looked at next.
    child.unref();
    const identity = child.pid === undefined ? null : identify(child.pid);
    if (identity === null) throw new Error(`${command} cannot be started`);
    return identity;
  } finally {
    closeSync(log);
  }
}

/** SIGKILL to every marked process of the bed, until there is none: one may just be forking. */
export async function killMarked(bedId: string): Promise<void> {
  for (;;) {
    const found = processesMarked(marker, bedId);
    if (found.length === 0) return;
    await killAll(found);
  }
}
