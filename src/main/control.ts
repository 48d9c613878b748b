import { randomUUID } from "node:crypto";
import { exitStatus } from "../cli/run-program.ts";
import type { Endpoint } from "../control/listen.ts";
import { startControlService } from "../control/service.ts";
import { hasCode } from "../lib/errors.ts";
import type { LogLevel } from "../lib/log.ts";
import { readMachineId } from "../lib/system.ts";
import type { FlockerContext } from "./flocker-context.ts";
import { writePidFile } from "./pid-file.ts";

export type ControlSettings = {
  readonly dataPath: string;
  readonly certificatesDirectory: string;
  readonly rest: Endpoint;
  readonly agents: Endpoint;
  readonly pidFile: string;
  readonly acceptCopy: boolean;
  readonly logLevel: LogLevel;
};

/** Runs the control service until it is told to stop, and lets it end in order. */
export async function runControl(
  { pidFile, logLevel, ...settings }: ControlSettings,
  { createLog, untilStopped, exit }: FlockerContext,
): Promise<void> {
  const log = createLog(logLevel, "control");
  const stopped = untilStopped();
  await using _service = await startControlService({
    ...settings,
    machineId: await readMachineId(),
    newId: randomUUID,
    nowMs: steadyClock(),
    log,
    // At once: what is in memory may not be durable, and nothing of it may leave.
    failed: (reason) => exit(hasCode(reason, "STORE_FULL") ? exitStatus.operating : exitStatus.bug),
  });
  await using _pid = await writePidFile(pidFile, log);
  await stopped;
}

/** The time of day at the start, and from there on a clock that nobody sets. */
function steadyClock(): () => number {
  const originMs = Date.now() - performance.now();
  return () => originMs + performance.now();
}
