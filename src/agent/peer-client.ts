import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Transform, type TransformCallback } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import type { ConnectionOptions } from "node:tls";
import type { Call } from "../backends/attachable.ts";
import type { LocalBackend, StreamSum } from "../backends/local.ts";
import type { DatasetId, NodeId } from "../domain/ids.ts";
import type { StreamStage } from "../domain/local-copy.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import { midway, type OnStep } from "../planner/steps.ts";
import type { Progress } from "../protocol/agent-messages.ts";
import type { Incoming } from "./local/peers.ts";
import {
  errorOf,
  headers,
  parseCount,
  parseSum,
  pathOf,
  type PeerRequest,
  trailers,
} from "./peer-protocol.ts";
import { Throttle } from "./throttle.ts";

export type PeerClientOptions = {
  /** Accepts the certificate of this one node alone. */
  readonly tls: (node: NodeId) => ConnectionOptions;
  readonly progressed: (datasetId: DatasetId, progress: Progress) => void;
  /** A source that says nothing for so long is given up; its target dials again. */
  readonly idleMsMax?: number;
  readonly onStep?: OnStep | undefined;
};

const idleMsMaxDefault = 120_000;
const refusalBytesMax = 64 << 10;
/** Besides the estimate: what is written at the source meanwhile, and the pool's own figures. */
const spareBytesMin = 16 << 20;

/** The target's end of moves: asks the sources for what its records announce. */
export class PeerClient {
  readonly #options: PeerClientOptions;

  constructor(options: PeerClientOptions) {
    this.#options = options;
  }

  /** See `Peers.fetch`. */
  async fetch(stage: Incoming, backend: LocalBackend, call: Call): Promise<StreamSum> {
    const { datasetId, move, onBase } = stage;
    const asked: PeerRequest = { kind: "stream", move, stage: stage.stage, onBase };
    const response = await this.#ask("GET", asked, stage, call.signal);
    const totalBytes = parseCount(headerOf(response, headers.totalBytes));
    const meter = new Meter(stage.stage, totalBytes, (progress) =>
      this.#options.progressed(datasetId, progress),
    );
    const stream = {
      datasetId,
      move,
      stage: stage.stage,
      onBase: headerOf(response, headers.onBase) === "true",
      reserveBytes: reserveBytes(totalBytes ?? 0),
    };
    // The limit is the sender's; here only the first bytes are waited for, by tests.
    const gate = new Throttle(null).stream(
      call.signal,
      midway(this.#options.onStep, "receive_copy.midway"),
    );
    const passing = pipeline(response, gate, meter, { signal: call.signal });
    const receiving = backend.receive(stream, meter, call).catch((error: unknown) => {
      response.destroy(); // Whatever it could not take, nobody else will.
      throw error;
    });
    // The first of the two to fail is the reason; the other one follows from it.
    const first = Promise.race([
      receiving.then(() => passing),
      passing.catch((error: unknown) => Promise.reject(broken(stage, error))),
    ]);
    const [received, , failed] = await Promise.allSettled([receiving, passing, first]);
    if (failed.status === "rejected") throw failed.reason;
    if (received.status === "rejected") throw received.reason;
    return compared(stage, received.value, response);
  }

  /** See `Peers.confirm`. */
  async confirm(stage: Incoming, sum: StreamSum, call: Call): Promise<void> {
    const asked: PeerRequest = { kind: "confirm", move: stage.move, sum };
    const response = await this.#ask("POST", asked, stage, call.signal);
    response.resume();
  }

  /** Resolves with an answer that grants what was asked; a refusal is thrown with its code. */
  async #ask(
    method: "GET" | "POST",
    asked: PeerRequest,
    { address, source }: Incoming,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { tls, idleMsMax = idleMsMaxDefault } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const path = pathOf(asked);
    const where = { host: address.host, port: address.port, path, method };
    const request = httpsRequest({ ...tls(source), ...where, agent: false, signal }, resolve);
    request.setTimeout(idleMsMax, () => {
      const what = `Node ${source} said nothing for ${idleMsMax} ms.`;
      request.destroy(new FlockerError("DEADLINE_EXCEEDED", what));
    });
    request.on("error", (error) => reject(unreachable(source, address, error)));
    request.end();
    const response = await promise;
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw errorOf(await bodyOf(response), `Node ${source}`);
  }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const length = parseCount(headerOf(response, "content-length")) ?? 0;
  if (length <= refusalBytesMax) return text(response);
  response.destroy();
  return "";
}

function headerOf({ headers: all }: IncomingMessage, name: string): string | null {
  const value = all[name];
  return typeof value === "string" ? value : null;
}

function reserveBytes(totalBytes: number): number {
  return totalBytes + Math.max(spareBytesMin, Math.ceil(totalBytes / 10));
}

/** A stream is whole when both ends counted the same, and not before. */
function compared(stage: Incoming, received: StreamSum, response: IncomingMessage): StreamSum {
  const told = parseSum(response.trailers[trailers.bytes], response.trailers[trailers.digest]);
  if (told === null) throw broken(stage, new Error("it ended without the source's sum"));
  if (told.bytes === received.bytes && told.digest === received.digest) return received;
  throw new FlockerError(
    "COMMAND_FAILED",
    `Node ${stage.source} sent ${told.bytes} bytes of ${told.digest}, and ${received.bytes} bytes ` +
      `of ${received.digest} came: the stream was changed on its way, and is not used.`,
  );
}

function broken({ source }: Incoming, cause: unknown): FlockerError {
  const message = `The stream from node ${source} broke: ${messageOf(cause)}`;
  return new FlockerError("BACKEND_UNAVAILABLE", message, { cause });
}

function unreachable(
  source: NodeId,
  { host, port }: Incoming["address"],
  cause: Error,
): FlockerError | Error {
  if (cause instanceof FlockerError || cause.name === "AbortError") return cause;
  const message = `Node ${source} at ${host}:${port} cannot be asked: ${cause.message}`;
  return new FlockerError("BACKEND_UNAVAILABLE", message, { cause });
}

const meterMsMin = 500;

/** Counts what passes, for people. */
class Meter extends Transform {
  readonly #stage: StreamStage;
  readonly #totalBytes: number | null;
  readonly #tell: (progress: Progress) => void;
  readonly #begunMs = performance.now();
  #toldMs = 0;
  #bytes = 0;

  constructor(stage: StreamStage, totalBytes: number | null, tell: (progress: Progress) => void) {
    super();
    this.#stage = stage;
    this.#totalBytes = totalBytes;
    this.#tell = tell;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#bytes += chunk.length;
    const nowMs = performance.now();
    if (nowMs >= this.#toldMs + meterMsMin) {
      this.#toldMs = nowMs;
      const seconds = Math.max(nowMs - this.#begunMs, 1) / 1000;
      this.#tell({
        stage: this.#stage,
        bytes: this.#bytes,
        totalBytes: this.#totalBytes,
        bytesPerSecond: Math.round(this.#bytes / seconds),
      });
    }
    done(null, chunk);
  }
}
