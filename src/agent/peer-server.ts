import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type TlsOptions, TLSSocket } from "node:tls";
import type { Call } from "../backends/attachable.ts";
import type { LocalBackend, StreamSum } from "../backends/local.ts";
import { describeIdentity } from "../ca/identity.ts";
import { identityOf, onlyRole } from "../ca/only-role.ts";
import type { DatasetId, OpId } from "../domain/ids.ts";
import type { DatasetRecord, Move } from "../domain/record.ts";
import { errorCodes, FlockerError, hasCode, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { midway, type OnStep, stepped } from "../planner/steps.ts";
import { headers, parsePeerRequest, type PeerRequest, trailers } from "./peer-protocol.ts";
import { Throttle } from "./throttle.ts";

export type PeerServerOptions = {
  /** Of `serverTls`: certificates of nodes only get past the door. */
  readonly tls: TlsOptions;
  readonly log: Logger;
  /** The record that announces a move of which this node is the source; null when none does. */
  readonly announced: (move: OpId) => DatasetRecord | null;
  readonly backend: (pool: string) => LocalBackend;
  /** What accompanies the calls of a stream: it runs beside the dataset's own steps. */
  readonly call: (datasetId: DatasetId, signal: AbortSignal) => Call;
  /** A target was refused because somebody wrote after the seal: it is to be sealed anew. */
  readonly disturbed: (datasetId: DatasetId) => void;
  readonly bytesPerSecond: number | null;
  /** A stream that stands still this long is ended. */
  readonly idleMsMax?: number;
  readonly onStep?: OnStep | undefined;
};

type Announced = { readonly record: DatasetRecord; readonly move: Move };
type Asked<Kind extends PeerRequest["kind"]> = Extract<PeerRequest, { readonly kind: Kind }>;
type Exchange = { readonly response: ServerResponse; readonly signal: AbortSignal };
type Running = { readonly abort: AbortController; readonly ended: Promise<void> };

const idleMsMaxDefault = 120_000;

/** The source's end of moves: serves streams to the targets that its records announce. */
export class PeerServer implements AsyncDisposable {
  /** Listen on it; closing it is this class's. */
  readonly server: Server;
  readonly #options: PeerServerOptions;
  readonly #throttle: Throttle;
  /** One for each move and stage: whoever asks again has lost the one before. */
  readonly #running = new Map<string, Running>();
  /** What was sent of a seal, by dataset: the only thing that can be confirmed. */
  readonly #sent = new Map<DatasetId, { readonly move: OpId; readonly sum: StreamSum }>();

  constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#throttle = new Throttle(options.bytesPerSecond);
    this.server = createServer(options.tls, (request, response) => {
      void this.#answer(request, response);
    });
    onlyRole(this.server, "node", options.log);
  }

  /** See `Peers.withdraw`. */
  withdraw(datasetId: DatasetId): void {
    this.#sent.delete(datasetId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.server.listening ? once(this.server, "close") : null;
    this.server.close();
    const running = [...this.#running.values()];
    for (const { abort } of running) abort.abort(new Error("The agent is being stopped."));
    this.server.closeAllConnections();
    await Promise.all(running.map(({ ended }) => ended));
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const abort = new AbortController();
    const end = (why: string): void => abort.abort(new FlockerError("BACKEND_UNAVAILABLE", why));
    response.on("close", () => end("The target hung up."));
    response.on("error", () => {}); // It has hung up; the line above ends the work.
    request.socket.setTimeout(this.#options.idleMsMax ?? idleMsMaxDefault, () =>
      end("The stream stood still."),
    );
    try {
      const asked = parsePeerRequest(request.method ?? "", request.url ?? "");
      if (asked === null) throw new FlockerError("NOT_FOUND", "There is nothing of that name.");
      const found = this.#authorize(request, asked);
      if (asked.kind === "stream") await this.#alone(asked, { abort, response }, found);
      else await this.#confirm(asked, { response, signal: abort.signal }, found);
    } catch (error) {
      this.#refuse(request, response, error);
    }
  }

  /** The record alone says who may have what, not the certificate. */
  #authorize({ socket }: IncomingMessage, asked: PeerRequest): Announced {
    const peer = socket instanceof TLSSocket ? identityOf(socket) : null;
    const record = this.#options.announced(asked.move);
    const move = record?.move ?? null;
    if (record === null || move === null) {
      throw new FlockerError("NOT_AUTHORIZED", `Move ${asked.move} is not announced to this node.`);
    }
    if (peer?.kind !== "node" || peer.nodeId !== move.target) {
      const who = peer === null ? "nobody" : describeIdentity(peer);
      throw new FlockerError("NOT_AUTHORIZED", `Move ${move.id} does not go to ${who}.`);
    }
    const wholly = asked.kind === "confirm" || asked.stage === "delta";
    if (wholly === (move.phase === "sealed")) return { record, move };
    throw new FlockerError(
      "REVISION_CONFLICT",
      `Move ${move.id} is ${move.phase}: this is not the time for that.`,
    );
  }

  async #alone(
    asked: Asked<"stream">,
    { abort, response }: { readonly abort: AbortController; readonly response: ServerResponse },
    found: Announced,
  ): Promise<void> {
    const key = `${asked.move} ${asked.stage}`;
    const before = this.#running.get(key);
    before?.abort.abort(new FlockerError("BACKEND_UNAVAILABLE", "The target asked again."));
    const served = (before?.ended ?? Promise.resolve()).then(() =>
      this.#stream(asked, { response, signal: abort.signal }, found),
    );
    const ended = served.catch(() => {}); // Whoever waits for its turn wants to know no more.
    const running = { abort, ended };
    this.#running.set(key, running);
    try {
      await served;
    } finally {
      if (this.#running.get(key) === running) this.#running.delete(key);
    }
  }

  async #stream(asked: Asked<"stream">, to: Exchange, { record, move }: Announced): Promise<void> {
    const { datasetId, pool } = record;
    const { response, signal } = to;
    const { onStep, log } = this.#options;
    const { stage } = asked;
    const backend = this.#options.backend(pool);
    const call = this.#options.call(datasetId, signal);
    const begunMs = performance.now();
    const stream = { datasetId, move: move.id, stage };
    const onBase = asked.onBase && stage === "delta";
    const planned = await stepped(onStep, "send.estimate", () =>
      estimate(backend, { ...stream, onBase }, call),
    );
    if (stage === "delta") this.#sent.delete(datasetId);
    response.writeHead(200, {
      "Content-Type": "application/octet-stream",
      Trailer: Object.values(trailers).join(", "),
      [headers.onBase]: String(planned.onBase),
      [headers.totalBytes]: String(planned.totalBytes),
    });
    const sum = await stepped(onStep, "send.stream", () =>
      this.#send(backend, { ...stream, onBase: planned.onBase }, to, call),
    );
    // Known before it is told: the target may ask for its confirmation at once.
    if (stage === "delta") this.#sent.set(datasetId, { move: move.id, sum });
    await stepped(onStep, "send.sum", async () => {
      response.addTrailers({ [trailers.bytes]: String(sum.bytes), [trailers.digest]: sum.digest });
      response.end();
    });
    const durationMs = Math.round(performance.now() - begunMs);
    const { bytes } = sum;
    log.info("stream.served", {
      datasetId,
      moveId: move.id,
      target: move.target,
      stage,
      bytes,
      durationMs,
    });
  }

  async #send(
    backend: LocalBackend,
    stream: Parameters<LocalBackend["send"]>[0],
    { response, signal }: Exchange,
    call: Call,
  ): Promise<StreamSum> {
    const bytes = new PassThrough();
    const passing = pipeline(
      bytes,
      this.#throttle.stream(signal, midway(this.#options.onStep, "send.midway")),
      response,
      {
        end: false,
        signal,
      },
    );
    const [sent, passed] = await Promise.allSettled([backend.send(stream, bytes, call), passing]);
    if (sent.status === "rejected") throw sent.reason;
    if (passed.status === "rejected") throw passed.reason;
    return sent.value;
  }

  /** The last word before the target's copy may become the live one. */
  async #confirm(
    { move: id, sum }: Asked<"confirm">,
    { response, signal }: Exchange,
    { record }: Announced,
  ): Promise<void> {
    const { datasetId, pool } = record;
    const backend = this.#options.backend(pool);
    const isWhole = await stepped(this.#options.onStep, "send.confirm", async () => {
      const call = this.#options.call(datasetId, signal);
      const changed = await backend.changedSinceSeal(datasetId, call);
      // Looked at last: a new seal withdraws it, and is not "changed".
      const sent = this.#sent.get(datasetId);
      return (
        !changed &&
        sent?.move === id &&
        sent.sum.digest === sum.digest &&
        sent.sum.bytes === sum.bytes
      );
    });
    if (isWhole) {
      response.writeHead(204).end();
      return;
    }
    this.#options.disturbed(datasetId);
    throw new FlockerError(
      "VOLUME_BUSY",
      "What was sent is not all there is: it is sealed anew, and has to be sent again.",
    );
  }

  /** One line for whoever looks at the source; the target gets the code and the sentence. */
  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const code = error instanceof FlockerError ? error.code : "INTERNAL";
    const { remoteAddress } = request.socket;
    const fields = { remote: remoteAddress, path: request.url, code, message: messageOf(error) };
    this.#options.log.warn("stream.refused", fields);
    if (response.headersSent || response.destroyed) {
      response.destroy(); // Without trailers: the target sees that it is not whole.
      return;
    }
    response.writeHead(errorCodes[code].http, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ code, description: messageOf(error) }));
  }
}

/** How much it will be; whole when this end has no base of the move any more. */
async function estimate(
  backend: LocalBackend,
  stream: Parameters<LocalBackend["streamBytes"]>[0],
  call: Call,
): Promise<{ readonly onBase: boolean; readonly totalBytes: number }> {
  const { onBase } = stream;
  try {
    return { onBase, totalBytes: await backend.streamBytes(stream, call) };
  } catch (error) {
    if (!onBase || !hasCode(error, "VOLUME_NOT_FOUND")) throw error;
    const whole = { ...stream, onBase: false };
    return { onBase: false, totalBytes: await backend.streamBytes(whole, call) };
  }
}
