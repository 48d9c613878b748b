import { readFile } from "node:fs/promises";
import { type Static, Type } from "typebox";
import { Check } from "typebox/value";
import type { DatasetId } from "../../domain/ids.ts";
import { writeDurably } from "../../lib/durable-file.ts";
import { FlockerError, hasCode } from "../../lib/errors.ts";
import { exec, type ExecResult } from "../../lib/exec.ts";
import { mountAt, readMountinfo } from "../../lib/mountinfo.ts";
import type { BackendContext, Call } from "../attachable.ts";
import { poolMissing, type PoolSource } from "./pool-source.ts";
import { poolStatus, scriptArgs } from "./pool-scripts.ts";
import { makeDirectory } from "../../lib/system.ts";

const registration = Type.Object({ poolId: Type.String(), source: Type.String() });

/**
 * A btrfs that is mounted privately below `runDir`, and the only door to it. It is known by the id
 * in it, which the agent's own directory remembers: where that one is not, there is no pool, and
 * never a new one in its place. One that is away is attached by the first call after it came back.
 */
export class Pool {
  readonly path: string;
  readonly poolId: string;
  readonly source: PoolSource;
  #attaching: Promise<void> | null = null;

  private constructor(path: string, poolId: string, source: PoolSource) {
    this.path = path;
    this.poolId = poolId;
    this.source = source;
  }

  /** Registers a pool at first start: one that this cluster left here, or a new one. */
  static async open(source: PoolSource, context: BackendContext, call: Call): Promise<Pool> {
    const path = `${context.runDir}/pools/${context.pool}`;
    await preparePrivate(`${context.runDir}/pools`, call);
    const file = `${context.dataDir}/pools/${context.pool}.json`;
    const known = await readRegistration(file, source);
    if (known !== null) {
      const pool = new Pool(path, known.poolId, source);
      await pool.#attach(call).catch((error: unknown) => {
        if (!hasCode(error, "POOL_MISSING")) throw error;
        call.log.error("pool.missed", { pool: context.pool, source: source.text });
      });
      return pool;
    }
    const poolId = await source.adoptOrMake(path, call);
    await writeDurably(file, `${JSON.stringify({ poolId, source: source.text })}\n`);
    call.log.info("pool.registered", { pool: context.pool, poolId, source: source.text });
    const pool = new Pool(path, poolId, source);
    await pool.#attach(call);
    return pool;
  }

  /** Runs one of the scripts; statuses of `expected` are returned, others thrown. */
  async run(
    script: string,
    args: readonly string[],
    call: Call,
    expected: readonly number[] = [],
  ): Promise<ExecResult> {
    await this.ensureAttached(call);
    const { missing, limit } = poolStatus;
    const result = await exec("sh", scriptArgs(script, this, args), {
      signal: call.signal,
      deadlineMs: call.deadlineMs,
      lockFile: call.lockFile,
      okStatuses: [missing, limit, ...expected],
      outputBytesMax: 64 << 20,
    }).catch((error: unknown) => {
      throw isFull(error) ? poolFull(this, error) : error;
    });
    if (result.status === missing) throw poolMissing(this.source.text);
    if (result.status === limit) {
      throw new FlockerError(
        "BACKEND_REJECTED",
        `The size limit on ${this.source.text} is not what was set: are its quotas disabled?`,
      );
    }
    return result;
  }

  /** Mounted already, by whichever agent of this boot, or attached now; else `POOL_MISSING`. */
  async ensureAttached(call: Call): Promise<void> {
    if (mountAt(await readMountinfo(), this.path) !== null) return;
    this.#attaching ??= this.#attach(call).finally(() => {
      this.#attaching = null;
    });
    await this.#attaching;
  }

  async #attach(call: Call): Promise<void> {
    await using undo = new AsyncDisposableStack();
    const options = { signal: call.signal, deadlineMs: call.deadlineMs };
    if (mountAt(await readMountinfo(), this.path) === null) {
      await this.source.mount(this.path, call);
      undo.defer(async () => void (await exec("umount", ["--", this.path], options)));
    }
    const { missing: another } = poolStatus;
    const args = scriptArgs(readyScript, this, []);
    const { status } = await exec("sh", args, { ...options, okStatuses: [another] });
    if (status === another) throw poolMissing(this.source.text);
    undo.move();
  }
}

/**
 * Quotas are on and true: the kernel gives up counting when a large tree is removed, unless it is
 * told not to. What a killed agent had begun to remove is swept by the next removal.
 */
const readyScript = `
mkdir -p -m 0700 live copies receiving sent diverged removing
btrfs qgroup show . >/dev/null 2>&1 || btrfs quota enable .
id=$(btrfs filesystem show . | sed -n 's/.*uuid: //p')
threshold=/sys/fs/btrfs/$id/qgroups/drop_subtree_threshold
[ ! -w "$threshold" ] || echo 8 > "$threshold" || :
if btrfs qgroup show . 2>&1 >/dev/null | grep -q inconsistent; then btrfs quota rescan -w .; fi
`;

/** What is mounted below it reaches no other namespace: nobody else can pin a pool. */
async function preparePrivate(directory: string, call: Call): Promise<void> {
  await makeDirectory(directory, 0o700);
  const options = { signal: call.signal, deadlineMs: call.deadlineMs };
  if (mountAt(await readMountinfo(), directory) === null) {
    await exec("mount", ["--bind", "--", directory, directory], options);
  }
  await exec("mount", ["--make-private", "--", directory], options);
}

/** Null before the first use. A file that cannot be understood is an error, never a first use. */
async function readRegistration(
  file: string,
  source: PoolSource,
): Promise<Static<typeof registration> | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
  const value = parseJson(text);
  if (Check(registration, value)) return value;
  throw new FlockerError(
    "BACKEND_UNAVAILABLE",
    `${file}, which remembers the pool's id, is damaged; remove it once the pool on ${source.text} is ` +
      "there: it is found again.",
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `stdout` of a script that ended with `poolStatus.nested`. */
export function nestedVolumes(datasetId: DatasetId, stdout: string): FlockerError {
  return new FlockerError(
    "BACKEND_REJECTED",
    `The volume of dataset ${datasetId} holds btrfs subvolumes of its own, which a snapshot ` +
      `leaves out: ${stdout.trim().split("\n").slice(0, 3).join(", ")}. Make them directories.`,
  );
}

export function poolFull(pool: Pool, cause: unknown): FlockerError {
  const message = `The pool on ${pool.source.text} is full: make room in it.`;
  return new FlockerError("POOL_FULL", message, { cause });
}

/** A program of the pool said ENOSPC or EDQUOT. */
export function isFull(error: unknown): boolean {
  return (
    hasCode(error, "COMMAND_FAILED") &&
    error instanceof Error &&
    /No space left on device|Disk quota exceeded/.test(error.message)
  );
}
