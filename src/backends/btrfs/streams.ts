import type { Readable, Writable } from "node:stream";
import type { ClusterId, DatasetId } from "../../domain/ids.ts";
import type { PoolUsage } from "../../domain/local-copy.ts";
import { FlockerError } from "../../lib/errors.ts";
import { execStream } from "../../lib/exec-stream.ts";
import type { Call } from "../attachable.ts";
import { decodeBlock } from "../identity-block.ts";
import type { StreamOf, StreamSum } from "../local.ts";
import { ours } from "./look.ts";
import { isFull, nestedVolumes, type Pool, poolFull } from "./pool.ts";
import { poolStatus } from "./pool-scripts.ts";
import {
  acceptScript,
  receiveScript,
  receivedScript,
  sentScript,
  streamBytesScript,
} from "./stream-scripts.ts";

type Stream = StreamOf & { readonly onBase: boolean };

/**
 * A sender that compares two large trees, or a full disk that is flushed, is silent for a while.
 */
const idleMsMax = 120_000;

/** The streams of one pool, and what is reserved in it for those that come in. */
export class Streams {
  readonly #pool: Pool;
  readonly #clusterId: ClusterId;
  /** Bytes that each receive under way may still need. */
  readonly #reserved = new Map<object, number>();

  constructor(pool: Pool, clusterId: ClusterId) {
    this.#pool = pool;
    this.#clusterId = clusterId;
  }

  async send(stream: Stream, sink: Writable, call: Call): Promise<StreamSum> {
    try {
      const { datasetId, move, stage, onBase } = stream;
      await this.#run(sentScript, [...argsOf(stream), onBase ? "base" : "whole"], stream, call);
      const sent = `${this.#pool.path}/sent/${datasetId}/${move}`;
      const parent = onBase ? ["-p", `${sent}.base/volume`] : [];
      return await execStream("btrfs", ["send", "-q", ...parent, `${sent}.${stage}/volume`], {
        signal: call.signal,
        idleMsMax,
        lockFile: call.lockFile,
        through: { sink },
      });
    } catch (error) {
      sink.on("error", () => {}); // Who waits for this call is told.
      sink.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  async streamBytes(stream: Stream, call: Call): Promise<number> {
    const args = [...argsOf(stream), stream.onBase ? "base" : "whole"];
    const { stdout } = await this.#run(streamBytesScript, args, stream, call);
    return Number(stdout);
  }

  async receive(
    stream: Stream & { readonly reserveBytes: number },
    source: Readable,
    call: Call,
  ): Promise<StreamSum> {
    const { datasetId, move, stage, onBase, reserveBytes } = stream;
    const { freeBytes } = await usageOf(this.#pool, call);
    const reserved = [...this.#reserved.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (freeBytes - reserved < reserveBytes) {
      throw new FlockerError(
        "POOL_FULL",
        `The pool on ${this.#pool.source.text} has ${Math.max(0, freeBytes - reserved)} bytes ` +
          `free; ${reserveBytes} are needed to receive dataset ${datasetId}.`,
      );
    }
    this.#reserved.set(stream, reserveBytes);
    try {
      const args = [...argsOf(stream), onBase ? "base" : "whole"];
      await this.#run(receiveScript, args, stream, call);
      const directory = `${this.#pool.path}/receiving/${datasetId}/${move}.${stage}`;
      // Confined to that directory: a name in a stream may not lead anywhere else.
      return await execStream("btrfs", ["receive", "-q", "-C", directory], {
        signal: call.signal,
        idleMsMax,
        lockFile: call.lockFile,
        through: { source },
      });
    } catch (error) {
      throw isFull(error) ? poolFull(this.#pool, error) : error;
    } finally {
      this.#reserved.delete(stream);
    }
  }

  async accept(stream: StreamOf, call: Call): Promise<void> {
    const { datasetId } = stream;
    const { stdout } = await this.#run(receivedScript, argsOf(stream), stream, call);
    if (stdout.trim() === "accepted") return;
    const block = stdout === "" ? null : decodeBlock(Buffer.from(stdout, "base64"));
    const identity = ours(block, { clusterId: this.#clusterId, datasetId });
    if (typeof identity === "string") {
      throw new FlockerError(
        "BACKEND_REJECTED",
        `What was received as dataset ${datasetId} is not its data: ${identity}.`,
        { details: { condition: "IDENTITY_MISMATCH" } },
      );
    }
    await this.#run(acceptScript, argsOf(stream), stream, call);
  }

  async #run(
    script: string,
    args: readonly string[],
    { datasetId, move, stage }: StreamOf,
    call: Call,
  ): Promise<{ readonly stdout: string }> {
    const { notFound, nested } = poolStatus;
    const result = await this.#pool.run(script, args, call, [notFound, nested]);
    if (result.status === nested) throw nestedVolumes(datasetId, result.stdout);
    if (result.status !== notFound) return result;
    throw new FlockerError(
      "VOLUME_NOT_FOUND",
      `Dataset ${datasetId} has no ${stage} for move ${move} here, or not what it builds on.`,
    );
  }
}

function argsOf({ datasetId, move, stage }: StreamOf): readonly [DatasetId, string, string] {
  return [datasetId, move, stage];
}

/**
 * What is free is what a receive may take: not the reserve that keeps a btrfs alive, and not more
 * than is free where the pool's sparse file lies.
 */
export async function usageOf(pool: Pool, call: Call): Promise<PoolUsage> {
  const { stdout } = await pool.run("stat -f -c '%S %b %a' .", [], call);
  const [block = 0, total = 0, available = 0] = stdout.trim().split(" ").map(Number);
  const sizeBytes = block * total;
  const reserve = Math.min(2 ** 30, sizeBytes / 20);
  const hostFree = await pool.source.hostFreeBytes(call);
  const free = Math.min(block * available, hostFree ?? Number.POSITIVE_INFINITY) - reserve;
  return { sizeBytes, freeBytes: Math.max(0, Math.floor(free)) };
}
