// oxlint-disable-next-line no-restricted-imports -- a bench of tests, with real streams
import { PassThrough } from "node:stream";
import { MemoryLocal } from "../../backends/memory/memory-local.ts";
import { MemoryPool } from "../../backends/memory/memory-pool.ts";
import type { Call } from "../../backends/attachable.ts";
import type { LocalBackend, StreamSum } from "../../backends/local.ts";
import type { BootId, NodeId } from "../../domain/ids.ts";
import { boots, freshLocal, nodes, ops } from "../../domain/record-samples.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { RecordEvent, Speaker } from "../../domain/record-event.ts";
import { isRefusal, recordStep } from "../../domain/record-step.ts";
import type { Report } from "../../domain/report.ts";
import { unreachable } from "../../lib/assert.ts";
import { FlockerError, messageOf } from "../../lib/errors.ts";
import { silentLogger } from "../../lib/log.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import type { AgentMessage, PeerAddress } from "../../protocol/agent-messages.ts";
import type { AgentCore } from "../core/agent-core.ts";
import type { AgentEffect, AgentEvent, Outcome } from "../core/effects.ts";
import { failureOf } from "../core/executor.ts";
import { agentOf, clusterId } from "../core/test-agent.ts";
import { executeLocal, type LocalPorts } from "./execute-local.ts";
import { MemoryLocalHost } from "./memory-node.ts";
import { observeLocal } from "./observe-local.ts";
import type { Incoming, Peers } from "./peers.ts";

export const { datasetId } = freshLocal;
export const [a, b] = nodes;
const [firstOp, , moveOp] = ops;
const at = { storeId: "store", term: 1, instance: "control", revision: 1 };
const deadlineMs = 10_000;

function none(): never {
  throw new Error("no sample");
}

function call(signal = new AbortController().signal): Call {
  return { signal, deadlineMs, log: silentLogger };
}

/** A dataset of a local pool that nobody has used. */
export const unused: DatasetRecord = {
  ...freshLocal,
  volume: { kind: "never" },
  formatted: "no",
  copies: [],
  primary: a,
};

/** One agent over a pool in memory; `step` and `steps` tell what it does. */
export class BenchNode {
  readonly pool: MemoryPool;
  readonly backend: MemoryLocal;
  readonly host: MemoryLocalHost;
  readonly done: string[] = [];
  readonly sums = new Map<string, StreamSum>();
  core: AgentCore;
  readonly #cluster: MoveBench;
  readonly #node: NodeId;
  readonly #era: BootId;
  readonly #aborts = new Set<AbortController>();
  alive = true;

  constructor(cluster: MoveBench, node: NodeId, era: BootId) {
    this.#cluster = cluster;
    this.#node = node;
    this.#era = era;
    this.pool = new MemoryPool(`pool of ${node}`, clusterId);
    this.backend = new MemoryLocal(this.pool);
    this.host = new MemoryLocalHost(this.pool);
    this.core = this.#start();
  }

  #start(): AgentCore {
    const { capabilities } = this.backend;
    return agentOf({
      node: this.#node,
      bootId: this.#era,
      pools: [{ name: "default", driver: "memory", capabilities, defaultSizeBytes: 1 << 30 }],
      mounted: [...this.host.bound.keys()],
      nowMs: this.#cluster.nowMs,
    });
  }

  get speaker(): Speaker {
    return { node: this.#node, era: this.#era, session: 1 };
  }

  /** Besides the cleaning that follows when all is well, and what is said twice. */
  get steps(): readonly string[] {
    return this.done.filter(
      (step, index) => step !== "discard_partial" && this.done[index - 1] !== step,
    );
  }

  get state(): string {
    return this.core.state.local(datasetId).observed?.kind ?? "not looked at";
  }

  get condition(): string | null {
    return this.core.state.local(datasetId).condition?.code ?? null;
  }

  get shown(): boolean {
    return this.host.shownNow.has(datasetId);
  }

  write(name: string, text: string): void {
    const { volume } = this.pool.at(datasetId);
    if (volume === null) throw new Error("no volume to write to");
    this.pool.write(volume, name, text);
  }

  read(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.pool.at(datasetId).volume?.files ?? []);
  }

  step(event: AgentEvent): void {
    if (!this.alive) return;
    for (const effect of this.core.step(event, this.#cluster.nowMs)) this.#perform(effect);
  }

  #perform(effect: AgentEffect): void {
    switch (effect.kind) {
      case "send":
        return this.#cluster.said(this, effect.message);
      case "persist_run":
      case "persist_cluster": {
        const { token } = effect;
        return this.#cluster.later(async () => this.step({ kind: "persisted", token }));
      }
      case "observe_local":
        return this.#cluster.later(async () => {
          const look = await observeLocal(effect, this.#ports(), call());
          this.step({ kind: "observed_local", datasetId: effect.datasetId, ...look });
        });
      case "execute_local":
        return this.#cluster.later(() => this.#execute(effect.action, effect.peer));
      case "abort":
        for (const abort of this.#aborts) abort.abort(new Error(effect.reason));
        return undefined;
      case "observe":
        return this.#cluster.later(async () => {
          const id = effect.datasetId;
          this.step({ kind: "observed", datasetId: id, observed: { kind: "absent" } });
        });
      case "execute":
      case "cut":
      case "start_container":
      case "answer":
      case "disconnect":
      case "log":
        return undefined;
      default:
        return unreachable(effect);
    }
  }

  async #execute(action: LocalAction, peer: PeerAddress | null): Promise<void> {
    const abort = new AbortController();
    this.#aborts.add(abort);
    let outcome: Outcome = { kind: "ok" };
    try {
      await executeLocal(action, peer, this.#ports(), call(abort.signal));
    } catch (error) {
      outcome = failureOf(error);
    }
    this.#aborts.delete(abort);
    this.done.push(outcome.kind === "ok" ? action.kind : `${action.kind}: ${outcome.message}`);
    this.step({ kind: "executed", action, outcome });
  }

  #ports(): LocalPorts {
    return {
      node: this.#node,
      clusterId,
      host: this.host,
      backend: () => this.backend,
      peers: this.#cluster.peersOf(this),
      valid: (action) => this.core.state.standsLocal(action),
    };
  }
}

/** Two agents, and of a control service only what a record needs to go on. */
export class MoveBench {
  record: DatasetRecord = unused;
  nowMs = 0;
  readonly nodes: ReadonlyMap<NodeId, BenchNode>;
  /** Called within a stream, when its first byte has arrived. */
  whileStreaming: ((source: BenchNode) => Promise<void>) | null = null;
  /** Called when everything was sent, before the source is asked to confirm. */
  beforeConfirm: ((source: BenchNode) => void | Promise<void>) | null = null;
  #revision = 1;
  readonly #pending = new Set<Promise<void>>();

  constructor() {
    const [eraA, eraB] = boots;
    this.nodes = new Map([
      [a, new BenchNode(this, a, eraA)],
      [b, new BenchNode(this, b, eraB)],
    ]);
    for (const node of this.nodes.values()) this.connect(node);
  }

  at(id: NodeId): BenchNode {
    return this.nodes.get(id) ?? none();
  }

  connect(node: BenchNode): void {
    node.step({ kind: "connected" });
    const mode = { kind: "normal" } as const;
    const message = { kind: "welcome", session: 1, at, mode, condition: null, nodes: [] } as const;
    node.step({ kind: "received", message });
    this.#push(node, true);
  }

  /** What happens to the record; refused events change nothing, as in the store. */
  event(event: RecordEvent): void {
    const next = recordStep(this.record, event);
    if (isRefusal(next)) return;
    this.#revision += 1;
    this.record = { ...next, revision: this.#revision };
    for (const node of this.nodes.values()) this.#push(node, false);
  }

  /** A stream takes longer than a message. */
  async #delivered(): Promise<void> {
    for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
  }

  #push(node: BenchNode, all: boolean): void {
    const { record } = this;
    const { move } = record;
    const wantedBy = move?.phase === "copied" ? move.target : null;
    const peer = move === null ? null : { host: move.source, port: 4525 };
    const entries = [{ record, wantedBy, peer }];
    const revision = this.#revision;
    const message = { kind: "records", revision, all, entries, removed: [] } as const;
    this.later(async () => node.step({ kind: "received", message }));
  }

  grant(id: NodeId): void {
    this.event({ kind: "granted", to: this.at(id).speaker, wishAtMs: null, createOp: firstOp });
  }

  openMove(target: NodeId): void {
    this.event({ kind: "move_opened", move: moveOp, target, atMs: this.nowMs });
  }

  abortMove(): void {
    this.event({ kind: "move_aborted", move: moveOp });
  }

  said(node: BenchNode, message: AgentMessage): void {
    const by = node.speaker;
    if (message.kind === "report") {
      node.done.push(`says ${message.report.kind}`);
      const event = eventOf(by, message.report, this.nowMs);
      this.later(async () => this.event(event));
    }
    if (message.kind === "taken" || message.kind === "release_begun") {
      const { kind, generation } = message;
      this.later(async () => this.event({ kind, by, generation }));
    }
  }

  later(work: () => Promise<void>): void {
    const promise = Promise.resolve().then(work);
    this.#pending.add(promise);
    void promise.finally(() => this.#pending.delete(promise));
  }

  /** Lets time pass until it is so. */
  async until(what: () => boolean): Promise<void> {
    const endMs = this.nowMs + 600_000;
    while (!what()) {
      if (this.nowMs > endMs) throw new Error(`it is not so: ${JSON.stringify(this.story())}`);
      await this.quiet();
      if (what()) return;
      this.nowMs += 500;
      for (const node of this.nodes.values()) node.step({ kind: "tick" });
    }
    await this.quiet();
  }

  async quiet(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  story(): unknown {
    const { copies, move, claim } = this.record;
    const steps = [...this.nodes.values()].map(({ done, state, condition }) => ({
      done,
      state,
      condition,
    }));
    return { copies, move, claim, steps };
  }

  peersOf(asking: BenchNode): Peers {
    return {
      fetch: (stage, backend, { signal }) => this.#fetch(stage, backend, signal),
      confirm: async ({ source: id }, sum) => {
        const source = this.at(id);
        await this.beforeConfirm?.(source);
        const changed = await source.backend.changedSinceSeal(datasetId, call());
        if (!changed && source.sums.get(datasetId)?.digest === sum.digest) return;
        throw new FlockerError("VOLUME_BUSY", "It is not what was sealed.");
      },
      withdraw: (id) => void asking.sums.delete(id),
    };
  }

  async #fetch(stage: Incoming, backend: LocalBackend, signal: AbortSignal): Promise<StreamSum> {
    const source = this.at(stage.source);
    const stream = new PassThrough();
    signal.addEventListener("abort", () => stream.destroy(new Error("aborted")), { once: true });
    const sending = source.backend.send(stage, stream, call());
    sending.catch((error: unknown) => stream.destroy(new Error(messageOf(error))));
    const receiving = backend.receive({ ...stage, reserveBytes: 0 }, stream, call());
    receiving.catch(() => {}); // Whoever is told below need not be listening yet.
    await this.whileStreaming?.(source);
    await this.#delivered();
    const received = await receiving;
    const sent = await sending;
    if (sent.digest !== received.digest) throw new FlockerError("COMMAND_FAILED", "Sums differ.");
    source.sums.set(stage.datasetId, sent);
    return received;
  }
}

function eventOf(by: Speaker, report: Report, atMs: number): RecordEvent {
  switch (report.kind) {
    case "volume_created": {
      const { op, ref, sizeBytes } = report;
      return { kind: "volume_registered", by, op, ref, sizeBytes };
    }
    case "formatted":
    case "released":
      return { ...report, by };
    case "cleared":
      return { kind: "residue_cleared", by };
    case "cut_done":
      return { kind: "cut_reported", by };
    case "op_done":
      return { kind: "op_closed", op: report.op, outcome: "done" };
    case "copied":
      return { kind: "move_copied", by, move: report.move };
    case "sealed":
      return { kind: "move_sealed", by, move: report.move, generation: report.generation };
    case "received":
      return { kind: "move_committed", by, move: report.move, atMs };
    case "settled":
      return { kind: "copy_settled", by };
    case "discarded":
      return { kind: "copy_discarded", by };
    default:
      return unreachable(report);
  }
}
