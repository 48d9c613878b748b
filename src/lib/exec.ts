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
  const [file, argv] =
    options.lockFile === undefined
      ? [command, args]
      : ["flock", ["-n", "-F", "-E", String(lockBusyStatus), options.lockFile, command, ...args]];
  const result = await collect(file, argv, options);
  if (options.lockFile !== undefined && result.status === lockBusyStatus) {
    throw new FlockerError("BUSY_CHILD", `another process still holds ${options.lockFile}`, {
      details: { command, lockFile: options.lockFile },
    });
  }
  if (result.status !== 0 && !(options.okStatuses ?? []).includes(result.status)) {
    const tail = result.stderr.trim().split("\n").slice(-5).join("\n");
    throw new FlockerError(
      "COMMAND_FAILED",
      `${command} ended with status ${result.status}: ${tail}`,
      { details: { command, args, status: result.status, stderr: tail } },
    );
  }
  return result;
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
      finish(() =>
        reject(
          "code" in cause && cause.code === "ENOENT"
            ? new FlockerError("TOOL_MISSING", `program not found: ${file}`, { cause })
            : new FlockerError("COMMAND_FAILED", `${file} cannot be started`, { cause }),
        ),
      );
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
