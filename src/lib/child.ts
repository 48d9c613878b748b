import { type ChildProcess, spawn } from "node:child_process";
import { FlockerError } from "./errors.ts";

/** A program that lives until it is ended, or until this process ends: its input closes then. */
export type RunningChild = {
  /** The first line that it printed; rejects with `COMMAND_FAILED` if it ended before. */
  readonly firstLine: Promise<string>;
  /** Closes its input, waits for its end; killed when it does not end within `waitMs`. */
  readonly end: (waitMs?: number) => Promise<void>;
};

/**
 * Starts a program that must end by itself when its standard input is closed. `exec` runs programs
 * that end by their own work; this is for those that hold something for as long as they live.
 */
export function startChild(command: string, args: readonly string[]): RunningChild {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"], detached: false });
  child.stdin.on("error", () => {}); // The end of the child is what `ended` reports.
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve());
    child.on("error", () => resolve());
  });
  return {
    firstLine: firstLine(command, child),
    end: async (waitMs = 2000) => {
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), waitMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

function firstLine(command: string, child: ChildProcess): Promise<string> {
  const line = new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.on("error", (cause) =>
      reject(new FlockerError("COMMAND_FAILED", `${command} cannot be started`, { cause })),
    );
    child.on("close", () =>
      reject(new FlockerError("COMMAND_FAILED", `${command} ended before it was ready`)),
    );
  });
  line.catch(() => {}); // Whoever awaits it gets the failure; nobody may be waiting any more.
  return line;
}
