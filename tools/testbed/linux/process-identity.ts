import { readFileSync, readdirSync } from "node:fs";
import { until } from "./until.ts";

/** A process that cannot be mistaken for a later one with the same number. */
export type ProcessIdentity = { readonly pid: number; readonly startTime: string };

/** The process `pid` as it is now; null when it has ended (a zombie has). */
export function identify(pid: number): ProcessIdentity | null {
  const fields = statFields(`/proc/${pid}/stat`);
  if (fields === null || fields[0] === "Z" || fields[0] === "X") return null;
  return { pid, startTime: fields[19] ?? "" };
}

/** This process as /proc shows it, which may be that of an outer process namespace. */
export function identifySelf(): ProcessIdentity {
  const fields = statFields("/proc/self/stat");
  const pid = Number(readFileSync("/proc/self/stat", "utf8").split(" ", 1)[0]);
  return { pid, startTime: fields?.[19] ?? "" };
}

/** The fields from the third on: the second, a name in brackets, may hold blanks. (proc(5)) */
function statFields(path: string): readonly string[] | null {
  try {
    const text = readFileSync(path, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/** SIGKILL to those of `processes` that live, and waits until the kernel has buried them. */
export async function killAll(processes: readonly ProcessIdentity[]): Promise<void> {
  for (const { pid } of processes.filter(isAlive)) signal(pid, "SIGKILL");
  const dead = (): boolean => !processes.some(isAlive);
  await until(`the end of processes ${processes.map(({ pid }) => pid).join(" ")}`, 30_000, dead);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended between the look and the signal.
  }
}

/** All processes whose initial environment has the variable `name` with exactly `value`. */
export function processesMarked(name: string, value: string): readonly ProcessIdentity[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => environmentOf(entry).includes(`${name}=${value}`))
    .map((entry) => identify(Number(entry)))
    .filter((found) => found !== null);
}

function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // It has ended, or is a kernel thread.
  }
}
