import type { Incoming, Peers } from "../../agent/local/peers.ts";
import type { Call } from "../../backends/attachable.ts";
import type { LocalBackend, StreamSum } from "../../backends/local.ts";
import type { DatasetId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { hasCode } from "../../lib/errors.ts";
import type { Strand } from "../clock.ts";
import type { Machine } from "../world/machine.ts";
import { failure } from "../world/world-context.ts";
import { StreamIn, StreamOut } from "./stream-ends.ts";
import { Transfer } from "./transfer.ts";

type Offer = { readonly transfer: Transfer; readonly onBase: boolean; readonly bytes: number };

/** One agent as another one reaches it. */
export type Peer = {
  readonly machine: Machine;
  readonly strand: Strand;
  readonly serving: Serving;
};

export type PeerNetwork = {
  /** The process that listens at this address, if any does and the network lets it be reached. */
  readonly reach: (from: string, host: string) => Peer | null;
  readonly blocked: (from: string, to: string) => boolean;
};

/** What one agent's process serves as the source of moves: all of it is gone with the process. */
export class Serving {
  readonly #machine: Machine;
  readonly #backend: LocalBackend;
  readonly #call: Call;
  readonly #record: (dataset: DatasetId) => DatasetRecord | null;
  readonly #sums = new Map<DatasetId, { readonly move: string; readonly sum: StreamSum }>();
  readonly #seals = new Map<DatasetId, number>();
  readonly transfers = new Set<Transfer>();

  constructor(
    machine: Machine,
    backend: LocalBackend,
    call: Call,
    record: (dataset: DatasetId) => DatasetRecord | null,
  ) {
    this.#machine = machine;
    this.#backend = backend;
    this.#call = call;
    this.#record = record;
  }

  /** The process ended: its connections break, at once or when the network has told. */
  end(): void {
    const { clock, prng } = this.#machine.context;
    for (const transfer of this.transfers) {
      clock.after(prng.between(1, 2_000), () => transfer.cut());
    }
  }

  withdraw(dataset: DatasetId): void {
    this.#sums.delete(dataset);
    this.#seals.set(dataset, (this.#seals.get(dataset) ?? 0) + 1);
  }

  /** Only a move that this node's own record announces, to its target alone. */
  #admit({ datasetId, move: id, stage }: Incoming, to: string): void {
    const move = this.#record(datasetId)?.move ?? null;
    const fits = move?.id === id && move.target === to && move.source === this.#machine.node;
    if (fits && (stage === "base" || move.phase === "sealed")) return;
    this.#machine.context.marks.hit("stream refused");
    throw failure("NOT_AUTHORIZED", `no ${stage} of move ${id} is for ${to}`);
  }

  async offer(stage: Incoming, to: string, transfer: Transfer): Promise<Offer> {
    this.#admit(stage, to);
    const { datasetId, move } = stage;
    const [onBase, bytes] = await this.#estimate(stage);
    const seals = this.#seals.get(datasetId) ?? 0;
    this.transfers.add(transfer);
    this.#machine.context.turns.start(
      () => this.#backend.send({ ...stage, onBase }, new StreamOut(transfer), this.#call),
      (sum) => {
        this.transfers.delete(transfer);
        transfer.sent = sum;
        const current = seals === (this.#seals.get(datasetId) ?? 0);
        if (current && stage.stage === "delta") this.#sums.set(datasetId, { move, sum });
      },
      () => {
        this.transfers.delete(transfer);
        transfer.cut();
      },
    );
    return { transfer, onBase, bytes };
  }

  /** On the base only if this end has it too. */
  async #estimate(stage: Incoming): Promise<readonly [onBase: boolean, bytes: number]> {
    try {
      return [stage.onBase, await this.#backend.streamBytes(stage, this.#call)];
    } catch (error) {
      if (!stage.onBase || !hasCode(error, "VOLUME_NOT_FOUND")) throw error;
      return [false, await this.#backend.streamBytes({ ...stage, onBase: false }, this.#call)];
    }
  }

  async confirm(stage: Incoming, to: string, sum: StreamSum): Promise<void> {
    this.#admit(stage, to);
    const { datasetId, move } = stage;
    const changed = await this.#backend.changedSinceSeal(datasetId, this.#call);
    const sent = this.#sums.get(datasetId);
    if (!changed && sent?.move === move && sent.sum.digest === sum.digest) return;
    this.#machine.context.marks.hit("stream not confirmed");
    throw failure("VOLUME_BUSY", "it is not what was sealed");
  }
}

const answerMsMax = 30_000;

/** What a target asks of a source, over the model's network. */
export class ModelPeers implements Peers {
  readonly #own: Peer;
  readonly #network: PeerNetwork;

  constructor(own: Peer, network: PeerNetwork) {
    this.#own = own;
    this.#network = network;
  }

  async fetch(stage: Incoming, backend: LocalBackend, call: Call): Promise<StreamSum> {
    const { machine, serving } = this.#own;
    const { node, context } = machine;
    const blocked = (): boolean => this.#network.blocked(node, stage.source);
    const transfer = new Transfer(context, blocked);
    call.signal.addEventListener("abort", () => transfer.cut(), { once: true });
    serving.transfers.add(transfer);
    try {
      const ask = (source: Peer): Promise<Offer> => source.serving.offer(stage, node, transfer);
      const { onBase, bytes } = await this.#ask(stage, ask);
      context.marks.hit(stage.stage === "base" ? "base streamed" : "delta streamed");
      const incoming = { ...stage, onBase, reserveBytes: bytes };
      const received = await backend.receive(incoming, new StreamIn(transfer), call);
      const sent = await this.#ask(stage, async () => transfer.sent);
      if (this.agree(sent, received)) return received;
      context.marks.hit("sums differed");
      throw failure("COMMAND_FAILED", "the two ends did not count the same");
    } finally {
      serving.transfers.delete(transfer);
      transfer.cut();
    }
  }

  protected agree(sent: StreamSum | null, received: StreamSum): boolean {
    return sent?.digest === received.digest && sent.bytes === received.bytes;
  }

  confirm(stage: Incoming, sum: StreamSum): Promise<void> {
    const { node } = this.#own.machine;
    return this.#ask(stage, (source) => source.serving.confirm(stage, node, sum));
  }

  withdraw(dataset: DatasetId): void {
    this.#own.serving.withdraw(dataset);
  }

  /** One request and its answer; either may be lost with the network or with the other process. */
  #ask<T>({ address }: Incoming, work: (source: Peer) => Promise<T>): Promise<T> {
    const { machine, strand } = this.#own;
    const { context, node } = machine;
    const { turns, prng, clock } = context;
    return turns.wait<T>((resolve, reject) => {
      const deliver = (end: () => void): void => strand.deliver(end);
      const lost = (): void =>
        reject(failure("BACKEND_UNAVAILABLE", `${address.host} does not answer`));
      strand.after(answerMsMax, lost);
      const back = (end: () => void): void =>
        clock.after(prng.between(1, 20), () => {
          if (this.#network.reach(node, address.host) !== null) deliver(end);
        });
      clock.after(prng.between(1, 20), () => {
        const source = this.#network.reach(node, address.host);
        if (source === null) {
          clock.after(1_000, () => deliver(lost));
          return;
        }
        source.strand.deliver(() =>
          turns.start(
            () => work(source),
            (value) => back(() => resolve(value)),
            (error) => back(() => reject(error)),
          ),
        );
      });
    });
  }
}
