import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { type Readable, Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FlockerError } from "./errors.ts";
import { failureOf, startFailureOf, withLock } from "./exec.ts";

export type StreamOptions = {
  /** Aborting kills the child and breaks the stream. */
  readonly signal: AbortSignal;
  /** The child is killed when no byte moved for this long; `DEADLINE_EXCEEDED`. */
  readonly idleMsMax: number;
  /** As `ExecOptions.lockFile`. */
  readonly lockFile?: string | undefined;
  /** The child's standard input comes from `source`, or its standard output goes to `sink`. */
  readonly through: { readonly source: Readable } | { readonly sink: Writable };
};

/** What passed: its length, and the SHA-256 of all of it as hex digits. */
export type StreamResult = { readonly bytes: number; readonly digest: string };

const stderrBytesMax = 64 << 10;

/**
 * Runs a program without a shell with a stream of ours as its input or output. It has no deadline
 * as a whole: a stream may take days, but not stand still. Resolves once the program ended with
 * status 0 and every byte passed; a sink is ended then. Otherwise rejects as `exec` does: the
 * child has ended, and the stream is destroyed, so that its other end cannot take what came for
 * all of it.
 */
export async function execStream(
  command: string,
  args: readonly string[],
  options: StreamOptions,
): Promise<StreamResult> {
  const { signal, lockFile, through } = options;
  const stream = "sink" in through ? through.sink : through.source;
  try {
    signal.throwIfAborted();
    const [file, argv] = withLock(command, args, lockFile);
    const stdin = "sink" in through ? "ignore" : "pipe";
    const stdout = "sink" in through ? "pipe" : "ignore";
    const child = spawn(file, argv, { stdio: [stdin, stdout, "pipe"], detached: false });
    return await conduct(child, { command, args, file }, options);
  } catch (error) {
    stream.on("error", () => {}); // Who waits for this call is told; nobody else needs to listen.
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

type Names = { readonly command: string; readonly args: readonly string[]; readonly file: string };

/** The first thing that goes wrong is the reason; everything after it follows from the kill. */
async function conduct(
  child: ChildProcess,
  { command, args, file }: Names,
  { signal, idleMsMax, lockFile, through }: StreamOptions,
): Promise<StreamResult> {
  let failure: { readonly reason: unknown } | null = null;
  const kill = (reason: unknown): void => {
    failure ??= { reason };
    child.kill("SIGKILL");
  };
  const ended = endOf(child, file, kill);
  const timer = setTimeout(() => {
    const message = `no byte passed through ${command} for ${idleMsMax} ms`;
    kill(new FlockerError("DEADLINE_EXCEEDED", message, { details: { command, args } }));
  }, idleMsMax);
  const abort = (): void => kill(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const counter = new Counter(() => void timer.refresh());
  try {
    const passed = pass(child, counter, through).then(
      () => null,
      // A program that closed its end says why with its status; anything else is ours to say.
      (error: unknown) => (isClosedPipe(error) && "source" in through ? null : kill(error)),
    );
    const { status, stderr } = await ended;
    await passed;
    // oxlint-disable-next-line typescript/no-unnecessary-condition -- `kill` sets it meanwhile
    if (failure !== null) throw (failure as { readonly reason: unknown }).reason;
    if (status !== 0) throw failureOf({ command, args, lockFile }, { status, stderr });
    if ("sink" in through) await finish(through.sink, idleMsMax);
    return counter.result();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

function pass(
  child: ChildProcess,
  counter: Counter,
  through: StreamOptions["through"],
): Promise<void> {
  if ("source" in through && child.stdin !== null) {
    return pipeline(through.source, counter, child.stdin);
  }
  if ("sink" in through && child.stdout !== null) {
    // Not ended with its input: only a program that ended well is the end of a stream.
    return pipeline(child.stdout, counter, through.sink, { end: false });
  }
  return Promise.resolve(); // The program could not be started; its end says so.
}

function endOf(
  child: ChildProcess,
  file: string,
  fail: (reason: unknown) => void,
): Promise<{ readonly status: number; readonly stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString("utf8")).slice(-stderrBytesMax);
  });
  return new Promise((resolve) => {
    child.on("error", (cause) => {
      fail(startFailureOf(file, cause));
      child.stdin?.destroy();
      child.stdout?.destroy();
    });
    child.on("close", (code) => resolve({ status: code ?? 137, stderr }));
  });
}

function finish(sink: Writable, waitMsMax: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new FlockerError("DEADLINE_EXCEEDED", `a stream did not end within ${waitMsMax} ms`));
    }, waitMsMax);
    sink.once("error", reject);
    sink.end(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

class Counter extends Transform {
  readonly #moved: () => void;
  readonly #hash = createHash("sha256");
  #bytes = 0;

  constructor(moved: () => void) {
    super();
    this.#moved = moved;
  }

  override _transform(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#moved();
    this.#bytes += chunk.length;
    this.#hash.update(chunk);
    this.push(chunk);
    done();
  }

  result(): StreamResult {
    return { bytes: this.#bytes, digest: this.#hash.digest("hex") };
  }
}
