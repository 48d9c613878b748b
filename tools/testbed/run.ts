import { type ExecResult, exec } from "../../src/lib/exec.ts";

const deadlineMs = 60_000;

/** Runs a program to its end; a status other than 0 throws, with what it said. */
export async function run(command: string, ...args: string[]): Promise<string> {
  return (await exec(command, args, { deadlineMs })).stdout;
}

/** As `run`, for what may fail without harm: the caller looks at the status or at the world. */
export async function attempt(command: string, ...args: string[]): Promise<ExecResult> {
  const anyStatus = Array.from({ length: 256 }, (_, status) => status);
  return exec(command, args, { deadlineMs, okStatuses: anyStatus });
}
