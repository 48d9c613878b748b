import { readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import type { DatasetId, NodeId } from "../domain/ids.ts";
import { writeDurably } from "../lib/durable-file.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { peerAddressSchema } from "../protocol/agent-schema.ts";
import { recordSchema } from "../protocol/record-schema.ts";
import { count, orNull, text, uuid } from "../protocol/schema-parts.ts";
import type { ClusterFile, RunFile } from "./core/effects.ts";
import { makeDirectory } from "../lib/system.ts";

const datasetId = uuid<DatasetId>();
const nodeId = uuid<NodeId>();

const clusterSchema = Compile(
  Type.Object({
    seen: orNull(Type.Object({ storeId: text, term: count, instance: text, revision: count })),
    names: Type.Array(Type.Object({ name: text, datasetId })),
    nodes: Type.Array(nodeId),
    generations: Type.Array(Type.Tuple([datasetId, count])),
    records: Type.Array(recordSchema),
  }),
);

const runSchema = Compile(
  Type.Object({
    records: Type.Array(
      Type.Object({
        record: recordSchema,
        wantedBy: orNull(nodeId),
        peer: orNull(peerAddressSchema),
      }),
    ),
    users: Type.Array(Type.Tuple([datasetId, Type.Array(text)])),
    ended: Type.Array(Type.Tuple([datasetId, count])),
  }),
);

export type StateFilesOptions = {
  readonly dataDir: string;
  readonly runDir: string;
  readonly log: Logger;
  /** Between two tries on a full disk. */
  readonly retryMs?: number;
};
const retryMsDefault = 2_000;

/**
 * What the agent remembers: the cluster file on disk (survives a reboot, fsynced), the run file on
 * a tmpfs (survives the agent alone). Writes of one file never overlap; a newer content replaces
 * one that still waits, and every caller is answered once its content or a newer one is there. A
 * full disk is waited for with the cluster file: the one before it still stands, and an agent that
 * ended instead would leave the engine without its plugin.
 */
export class StateFiles {
  readonly #clusterPath: string;
  readonly #runPath: string;
  readonly #cluster: LatestWriter<ClusterFile>;
  readonly #run: LatestWriter<RunFile>;

  constructor(options: StateFilesOptions) {
    this.#clusterPath = `${options.dataDir}/cluster.json`;
    this.#runPath = `${options.runDir}/agent.json`;
    const { log, retryMs = retryMsDefault } = options;
    this.#cluster = new LatestWriter(
      (file) => writeDurably(this.#clusterPath, `${JSON.stringify(file)}\n`),
      (error) => {
        if (!isFull(error)) throw error;
        log.warn("state.delayed", { path: this.#clusterPath });
        return sleep(retryMs, undefined, { ref: false });
      },
    );
    this.#run = new LatestWriter(
      (file) => replaceFile(this.#runPath, `${JSON.stringify(file)}\n`),
      (error) => {
        throw error;
      },
    );
  }

  /** Null before the first write; a file that cannot be understood is `CONFIGURATION_INVALID`. */
  async loadCluster(): Promise<ClusterFile | null> {
    const value = await readJson(this.#clusterPath);
    if (value === null) return null;
    if (!clusterSchema.Check(value)) throw unreadable(this.#clusterPath, "it has another shape");
    return value;
  }

  async loadRun(): Promise<RunFile | null> {
    const value = await readJson(this.#runPath);
    if (value === null) return null;
    if (!runSchema.Check(value)) throw unreadable(this.#runPath, "it has another shape");
    return value;
  }

  saveCluster(file: ClusterFile): Promise<void> {
    return this.#cluster.write(file);
  }

  saveRun(file: RunFile): Promise<void> {
    return this.#run.write(file);
  }
}

async function readJson(path: string): Promise<unknown> {
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw unreadable(path, messageOf(error));
  }
  try {
    return JSON.parse(content);
  } catch (error) {
    throw unreadable(path, messageOf(error));
  }
}

function unreadable(path: string, why: string): FlockerError {
  return new FlockerError(
    "CONFIGURATION_INVALID",
    `${path} cannot be read: ${why}. Move it away and restart the agent; the control service tells ` +
      "it everything again.",
  );
}

/** A tmpfs needs no fsync: what it holds is gone with the machine anyway. */
async function replaceFile(path: string, content: string): Promise<void> {
  await makeDirectory(dirname(path));
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

type Waiting<T> = {
  content: T;
  readonly done: ReturnType<typeof Promise.withResolvers<void>>;
};

class LatestWriter<T> {
  readonly #write: (content: T) => Promise<void>;
  /** Throws what is final; resolves when it is time to try again. */
  readonly #failed: (error: unknown) => Promise<void>;
  #running = false;
  #waiting: Waiting<T> | null = null;

  constructor(write: (content: T) => Promise<void>, failed: (error: unknown) => Promise<void>) {
    this.#write = write;
    this.#failed = failed;
  }

  write(content: T): Promise<void> {
    if (this.#waiting === null) this.#waiting = { content, done: Promise.withResolvers<void>() };
    else this.#waiting.content = content;
    const { done } = this.#waiting;
    if (!this.#running) void this.#drain();
    return done.promise;
  }

  async #drain(): Promise<void> {
    this.#running = true;
    for (let next = this.#take(); next !== null; next = this.#take()) {
      try {
        await this.#writeOnce(next);
        next.done.resolve();
      } catch (error) {
        next.done.reject(error);
      }
    }
    this.#running = false;
  }

  async #writeOnce(next: Waiting<T>): Promise<void> {
    for (;;) {
      try {
        return await this.#write(next.content);
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  #take(): Waiting<T> | null {
    const next = this.#waiting;
    this.#waiting = null;
    return next;
  }
}

/** Space and quota; every other failure, a failed fsync above all, is final. */
function isFull(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ENOSPC" || error.code === "EDQUOT")
  );
}
