import { spawn } from "node:child_process";
import { FlockerError } from "./errors.ts";

export type ExecOptions = {
  /** Aborting kills the child. */
  readonly signal?: AbortSignal | undefined;
  /** The child is killed (SIGKILL) after this; `DEADLINE_EXCEEDED`. */
  readonly deadlineMs: number;
  /** Written to the child's standard input; otherwise it is empty. */
  readonly input?: string | Uint8Array | undefined;
  /** Bytes of output kept; more is an error. */
  readonly outputBytesMax?: number;
  /** A non-zero exit status is returned instead of thrown when listed here. */
  readonly okStatuses?: readonly number[];
  /**
   * A lock file that the child and all of its own children hold until they have ended, also when
   * this process is killed; a lock that somebody else holds is `BUSY_CHILD`. (flock(1), flock(2))
   */
  readonly lockFile?: string | undefined;
};

export type ExecResult = {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
};

const lockBusyStatus = 213;
const outputBytesMaxDefault = 4 << 20;

/**
 * Runs a program without a shell: the only door to other processes. Rejects with `COMMAND_FAILED`
 * (command, exit status, last lines of stderr), `TOOL_MISSING`, `BUSY_CHILD`, `DEADLINE_EXCEEDED`
 * or the signal's abort reason.
 */
export async function exec(
  command: string,
  args: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  options.signal?.throwIfAborted();
  const { lockFile } = options;
  const result = await collect(...withLock(command, args, lockFile), options);
  const { status } = result;
  if (status === 0 || (options.okStatuses ?? []).includes(status)) return result;
  throw failureOf({ command, args, lockFile }, result);
}

/** The command line that runs the program under the lock: flock(1) becomes the program itself. */
export function withLock(
  command: string,
  args: readonly string[],
  lockFile: string | undefined,
): readonly [file: string, args: readonly string[]] {
  if (lockFile === undefined) return [command, args];
  return ["flock", ["-n", "-F", "-E", String(lockBusyStatus), lockFile, command, ...args]];
}

/** What a status that is not 0 means: `BUSY_CHILD` or `COMMAND_FAILED`. */
export function failureOf(
  of: {
    readonly command: string;
    readonly args: readonly string[];
    readonly lockFile: string | undefined;
  },
  { status, stderr }: Pick<ExecResult, "status" | "stderr">,
): FlockerError {
  const { command, args, lockFile } = of;
  if (lockFile !== undefined && status === lockBusyStatus) {
    return new FlockerError("BUSY_CHILD", `another process still holds ${lockFile}`, {
      details: { command, lockFile },
    });
  }
  const tail = stderr.trim().split("\n").slice(-5).join("\n");
  return new FlockerError("COMMAND_FAILED", `${command} ended with status ${status}: ${tail}`, {
    details: { command, args, status, stderr: tail },
  });
}

/** Why a program could not even be started. */
export function startFailureOf(file: string, cause: Error): FlockerError {
  return "code" in cause && cause.code === "ENOENT"
    ? new FlockerError("TOOL_MISSING", `program not found: ${file}`, { cause })
    : new FlockerError("COMMAND_FAILED", `${file} cannot be started`, { cause });
}

function collect(file: string, args: readonly string[], options: ExecOptions): Promise<ExecResult> {
  const outputBytesMax = options.outputBytesMax ?? outputBytesMaxDefault;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], detached: false });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let bytes = 0;
    let failure: unknown = null;
    const kill = (reason: unknown): void => {
      failure ??= reason;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => {
      kill(
        new FlockerError(
          "DEADLINE_EXCEEDED",
          `${file} did not end within ${options.deadlineMs} ms`,
          { details: { command: file, args } },
        ),
      );
    }, options.deadlineMs);
    const abort = (): void => kill(options.signal?.reason);
    options.signal?.addEventListener("abort", abort, { once: true });
    const take = (sink: Buffer[]) => (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > outputBytesMax) {
        kill(new FlockerError("COMMAND_FAILED", `${file} printed over ${outputBytesMax} bytes`));
      } else sink.push(chunk);
    };
    child.stdout.on("data", take(out));
    child.stderr.on("data", take(err));
    child.stdin.on("error", () => {}); // A child that does not read is not an error of ours.
    child.stdin.end(options.input ?? "");
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
      settle();
    };
    child.on("error", (cause) => {
      finish(() => reject(startFailureOf(file, cause)));
    });
    child.on("close", (code, signal) => {
      finish(() => {
        if (failure !== null) reject(failure);
        else {
          resolve({
            status: code ?? 128 + (signal === null ? 0 : 9),
            stdout: Buffer.concat(out).toString("utf8"),
            stderr: Buffer.concat(err).toString("utf8"),
          });
        }
      });
    });
  });
}
