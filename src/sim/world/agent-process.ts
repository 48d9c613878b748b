import { AgentCore } from "../../agent/core/agent-core.ts";
import type { AgentOptions } from "../../agent/core/agent-state.ts";
import type { Timings } from "../../agent/core/timings.ts";
import type { AgentEffect, AgentEvent, Outcome } from "../../agent/core/effects.ts";
import { execute, failureOf, type Ports } from "../../agent/core/executor.ts";
import { observe } from "../../agent/core/observe.ts";
import type { PluginAnswer, PluginCall } from "../../agent/core/plugin-call.ts";
import type { Call } from "../../backends/attachable.ts";
import type { ClusterId, DatasetId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { unreachable } from "../../lib/assert.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { Action } from "../../planner/action.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import type { NameEntry, RecordEntry } from "../../protocol/agent-messages.ts";
import { recordsDigest } from "../../protocol/digest.ts";
import { Strand } from "../clock.ts";
import { heldAtStart, LocalAgent, type LocalFlaws } from "../pool/local-agent.ts";
import { localCapabilities } from "../pool/local-tree.ts";
import { localPoolName } from "../pool/names.ts";
import type { PeerNetwork } from "../pool/model-peers.ts";
import type { Machine } from "./machine.ts";
import { ModelDriver, capabilitiesOf } from "./model-driver.ts";
import { ModelHost, type Surroundings } from "./model-host.ts";
import type { Connection, ToAgent } from "./network.ts";
import { noLog, type WorldContext } from "./world-context.ts";

/** Where an agent could be wrong without a line of the core being so. */
export type AgentFlaws = {
  readonly timings?: Timings;
  readonly decide?: AgentOptions["decide"];
  readonly decideLocal?: AgentOptions["decideLocal"];
  readonly local?: LocalFlaws;
  readonly host?: (machine: Machine, around: Surroundings) => ModelHost;
  readonly driver?: (machine: Machine, around: Surroundings) => ModelDriver;
  /** What is observed is asked about this record instead. */
  readonly record?: (record: DatasetRecord | null) => DatasetRecord | null;
  /** What the driver says of how late a request may land. */
  readonly operationMsMax?: number;
  /** The lock of a dataset is neither waited for nor asked. */
  readonly ignoresLocks?: boolean;
  /** Every action is carried out, whatever was decided since. */
  readonly alwaysValid?: boolean;
  /** Rewrites or drops an event before the core hears it. */
  readonly event?: (event: AgentEvent, agent: AgentProcess) => AgentEvent | null;
  /** Rewrites or drops an effect before it is performed. */
  readonly effect?: (effect: AgentEffect, agent: AgentProcess) => AgentEffect | null;
  readonly started?: (agent: AgentProcess) => void;
};

export type AgentSurroundings = {
  readonly clusterId: ClusterId;
  readonly flaws: AgentFlaws;
  readonly dial: (agent: AgentProcess) => Connection | null;
  readonly users: (dataset: DatasetId) => readonly string[];
  readonly answered: (callId: number, answer: PluginAnswer) => void;
  readonly namesHeard: (entries: readonly NameEntry[]) => void;
  readonly claimHeard: (record: DatasetRecord) => void;
  readonly persisted: (agent: AgentProcess) => void;
  readonly peers: PeerNetwork;
};

const pingMs = 5_000;
const deadMs = 15_000;
const tickMs = 500;

/** One process of an agent: the production core, observation and executor, and a small shell. */
export class AgentProcess {
  readonly machine: Machine;
  readonly strand: Strand;
  readonly core: AgentCore;
  readonly around: AgentSurroundings;
  readonly host: ModelHost;
  readonly local: LocalAgent;
  readonly #context: WorldContext;
  readonly #ports: Ports;
  readonly #unlocked = new Set<DatasetId>();
  readonly #call: Call;
  connection: Connection | null = null;
  heardControl = false;
  #heardAtMs = 0;
  /** What it said of its records when it last said hello. */
  #helloed = "";

  constructor(machine: Machine, around: AgentSurroundings) {
    const { context } = machine;
    const { flaws, clusterId } = around;
    this.machine = machine;
    this.around = around;
    this.#context = context;
    this.strand = new Strand(context.clock);
    if (machine.stopped) this.strand.stop("machine");
    machine.ignoresLocks = flaws.ignoresLocks ?? false;
    const witness: Surroundings = {
      parent: this.strand,
      clusterId,
      heardControl: () => this.heardControl,
      users: around.users,
    };
    this.host = flaws.host?.(machine, witness) ?? new ModelHost(machine, witness);
    const driver = flaws.driver?.(machine, witness) ?? new ModelDriver(machine, witness);
    this.#call = {
      signal: new AbortController().signal,
      deadlineMs: 30_000,
      lockFile: "lock",
      log: noLog,
    };
    this.#ports = {
      node: machine.certificate,
      era: machine.bootId,
      clusterId,
      host: this.host,
      backend: () => driver,
      valid: (action) => flaws.alwaysValid === true || this.core.state.stands(action),
    };
    this.local = new LocalAgent({
      machine,
      around: witness,
      host: this.host,
      clusterId,
      call: this.#call,
      flaws: flaws.local ?? {},
      network: around.peers,
      record: (id) => this.core.state.records.get(id)?.record ?? null,
      valid: (action) => flaws.alwaysValid === true || this.core.state.standsLocal(action),
    });
    this.core = new AgentCore(this.#options());
    flaws.started?.(this);
    this.strand.every(tickMs, () => this.step({ kind: "tick" }));
    this.strand.every(pingMs, () => this.#ping());
    this.strand.after(context.prng.between(1, 200), () => this.#dial());
  }

  #options(): AgentOptions {
    const { machine, around } = this;
    const { timings, decide, decideLocal } = around.flaws;
    const { traits } = this.#context;
    const operationMsMax = around.flaws.operationMsMax ?? traits.operationMsMax;
    const pool = {
      name: "default",
      driver: "model",
      capabilities: capabilitiesOf({ ...traits, operationMsMax }),
      defaultSizeBytes: 1 << 30,
    };
    const disk = {
      name: localPoolName,
      driver: "model-local",
      capabilities: localCapabilities,
      defaultSizeBytes: 1 << 28,
    };
    return {
      node: machine.certificate,
      clusterId: around.clusterId,
      fingerprint: machine.fingerprint,
      bootId: machine.bootId,
      runId: machine.runId,
      instance: this.#context.prng.uuid(),
      version: "sim",
      address: { host: `h${machine.index}`, peerPort: 4525 },
      pools: [pool, disk],
      unknownNames: "deny",
      cluster: machine.disk.cluster,
      run: machine.run.file,
      mounted: this.host.mountedNow(),
      copies: heldAtStart(machine),
      nowMs: machine.nowMs,
      ...(timings === undefined ? {} : { timings }),
      ...(decide === undefined ? {} : { decide }),
      ...(decideLocal === undefined ? {} : { decideLocal }),
    };
  }

  step(event: AgentEvent): void {
    if (!this.strand.alive) return;
    const { flaws } = this.around;
    const heard = flaws.event === undefined ? event : flaws.event(event, this);
    if (heard === null) return;
    for (const effect of this.core.step(heard, this.machine.nowMs)) {
      const done = flaws.effect === undefined ? effect : flaws.effect(effect, this);
      if (done !== null) this.#perform(done);
    }
  }

  /** The process ends at once; its children, its connection's bytes and its requests do not. */
  kill(): void {
    this.strand.kill();
    this.local.end();
    const { connection } = this;
    this.connection = null;
    if (connection === null) return;
    connection.openAtAgent = false;
  }

  called(callId: number, call: PluginCall): void {
    this.strand.deliver(() => this.step({ kind: "called", callId, call }));
  }

  /** A socket that was closed here gives nothing more, whatever had come before on it. */
  received(connection: Connection, message: ToAgent): void {
    this.strand.deliver(() => {
      if (this.connection !== connection) return;
      this.#heardAtMs = this.machine.nowMs;
      if (message.kind === "ping") {
        if (message.nonce > 0) this.connection?.toControl.send(message);
        return;
      }
      this.heardControl = true;
      if (message.kind === "names") {
        this.around.namesHeard(message.entries);
      }
      // After a recovery everybody is told everything, once.
      const doubted = message.kind === "welcome" && message.mode.kind !== "normal";
      if (doubted || message.kind === "mode") this.#helloed = "";
      if (message.kind === "records") {
        if (message.all) this.#toldAll(message.entries);
        for (const { record } of message.entries) this.around.claimHeard(record);
      }
      const late = message.kind === "answer" && !this.core.state.requests.has(message.id);
      if (late) this.#context.marks.hit("control answered late");
      this.step({ kind: "received", message });
    });
  }

  #toldAll(entries: readonly RecordEntry[]): void {
    const { node } = this.machine;
    const own = recordsDigest(this.core.state.records.values());
    const known = entries.length > 0 && this.#helloed === own && recordsDigest(entries) === own;
    this.#context.tell({ kind: "records_told", node, entries: entries.length, known });
  }

  closed(connection: Connection): void {
    this.strand.deliver(() => {
      if (this.connection !== connection) return;
      this.connection = null;
      this.step({ kind: "disconnected" });
      this.strand.after(this.#context.prng.between(500, 2_000), () => this.#dial());
    });
  }

  #dial(): void {
    if (this.connection !== null) return;
    this.connection = this.around.dial(this);
    if (this.connection === null) {
      this.strand.after(this.#context.prng.between(1_000, 3_000), () => this.#dial());
      return;
    }
    this.#heardAtMs = this.machine.nowMs;
    this.step({ kind: "connected" });
  }

  #ping(): void {
    const { connection } = this;
    if (connection === null) return;
    if (this.#heardAtMs + deadMs < this.machine.nowMs) connection.closeAtAgent();
    else connection.toControl.send({ kind: "ping", nonce: 0 });
  }

  #perform(effect: AgentEffect): void {
    const { machine } = this;
    switch (effect.kind) {
      case "send":
        if (effect.message.kind === "hello") this.#helloed = effect.message.recordsDigest;
        this.connection?.toControl.send(effect.message);
        break;
      case "disconnect":
        this.connection?.closeAtAgent();
        break;
      case "observe":
        this.#observe(effect.datasetId, effect.record);
        break;
      case "execute":
        this.#execute(effect.action);
        break;
      case "cut":
        this.host.cut(effect.datasetId).catch(() => {}); // It is done again in its turn.
        break;
      case "start_container":
        break; // No container of this world has a restart policy.
      case "answer":
        this.around.answered(effect.callId, effect.answer);
        break;
      case "persist_cluster":
        this.#persist(effect.token, () => {
          machine.disk = { cluster: effect.file };
        });
        break;
      case "persist_run":
        this.#persist(effect.token, () => {
          machine.run = { file: effect.file };
          this.around.persisted(this);
        });
        break;
      case "observe_local":
        if (this.#mayLook(effect.datasetId)) {
          this.local.observe(effect, (event) => this.step(event));
        }
        break;
      case "execute_local":
        this.local.execute(effect, (error) => this.#ended(effect.action, error));
        break;
      case "abort":
        this.local.abort(effect.datasetId);
        break;
      case "log":
        if (this.#context.tracing) {
          this.#context.note(`agent${machine.index} ${effect.event}`, effect.fields);
        }
        break;
      default:
        unreachable(effect);
    }
  }

  /** Written, synced and renamed; in the order of the writes. A kill before that leaves the old. */
  #persist(token: number, write: () => void): void {
    this.strand.after(2, () => {
      write();
      this.step({ kind: "persisted", token });
    });
  }

  #observe(datasetId: DatasetId, record: DatasetRecord | null): void {
    const { turns } = this.#context;
    const { flaws } = this.around;
    if (!this.#mayLook(datasetId)) return;
    const asked = flaws.record === undefined ? record : flaws.record(record);
    turns.start(
      () => observe(datasetId, asked, this.#ports, this.#call),
      (observed) => this.step({ kind: "observed", datasetId, observed }),
      (error) => {
        throw error;
      },
    );
  }

  /** A child of an earlier agent that still works on it is all that can be seen. */
  #mayLook(datasetId: DatasetId): boolean {
    if (this.around.flaws.ignoresLocks === true || this.#unlocked.has(datasetId)) return true;
    if (!this.machine.busy(datasetId)) {
      this.#unlocked.add(datasetId);
      return true;
    }
    this.#context.marks.hit("observed busy child");
    const observed = {
      kind: "unknown",
      reason: "a child that was given up",
      busy: true,
    } as const;
    const local = this.core.state.records.get(datasetId)?.record.poolKind === "local";
    const event: AgentEvent = local
      ? { kind: "observed_local", datasetId, observed, found: null }
      : { kind: "observed", datasetId, observed };
    this.strand.after(1, () => this.step(event));
    return false;
  }

  #execute(action: Action): void {
    this.#context.turns.start(
      () => execute(action, this.#ports, this.#call),
      () => this.#ended(action, null),
      (error) => this.#ended(action, error),
    );
  }

  #ended(action: Action | LocalAction, error: unknown): void {
    if (error !== null) this.#unlocked.delete(action.datasetId);
    const outcome: Outcome = error === null ? { kind: "ok" } : outcomeOf(error);
    if (this.#context.tracing) {
      this.#context.note(`agent${this.machine.index} ended ${action.kind}`, outcome);
    }
    this.step({ kind: "executed", action, outcome });
  }
}

/** As in production; here anything but an operating error is a bug, of ours or of the model. */
function outcomeOf(error: unknown): Outcome {
  if (error instanceof FlockerError) return failureOf(error);
  throw error;
}
