import type { AttachableBackend, Call } from "../backends/attachable.ts";
import type { LocalBackend } from "../backends/local.ts";
import type { DatasetId, OpId } from "../domain/ids.ts";
import type { DatasetRecord } from "../domain/record.ts";
import { unreachable } from "../lib/assert.ts";
import { FlockerError, hasCode, messageOf } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import type { Logger } from "../lib/log.ts";
import type { Action } from "../planner/action.ts";
import type { LocalAction } from "../planner/local-action.ts";
import { type OnStep, stepped } from "../planner/steps.ts";
import type { AgentMessage, ControlMessage } from "../protocol/agent-messages.ts";
import { AgentCore } from "./core/agent-core.ts";
import type { AgentOptions } from "./core/agent-state.ts";
import type { AgentEffect, AgentEvent, EngineSeen, Outcome, StartOutcome } from "./core/effects.ts";
import { execute, failureOf, type Ports } from "./core/executor.ts";
import type { Host, LocalHost } from "./core/host.ts";
import { observe } from "./core/observe.ts";
import type { PluginAnswer, PluginCall } from "./core/plugin-call.ts";
import { executeLocal, type LocalPorts } from "./local/execute-local.ts";
import { observeLocal } from "./local/observe-local.ts";
import type { Peers } from "./local/peers.ts";
import type { StateFiles } from "./state-files.ts";

export type RunnerOptions = {
  readonly agent: AgentOptions;
  readonly host: Host & LocalHost;
  readonly backends: ReadonlyMap<string, AttachableBackend>;
  /** Pools on this node's own disks, by name. */
  readonly localBackends: ReadonlyMap<string, LocalBackend>;
  readonly peers: Peers;
  readonly files: StateFiles;
  readonly lockDir: string;
  readonly log: Logger;
  /** Monotonic; counts from any origin. */
  readonly nowMs: () => number;
  readonly newId: () => string;
  readonly send: (message: AgentMessage) => void;
  readonly disconnect: (reason: string) => void;
  /** Whether the engine sees what was shown; null when there is no engine to ask. */
  readonly seenByEngine: (datasetId: DatasetId, call: Call) => Promise<boolean | null>;
  /** Starts a container that waits for its volume, and no other; never rejects. */
  readonly startContainer: (id: string, signal: AbortSignal) => Promise<StartOutcome>;
  /** Announced before and after each step of `stepTable`; the acceptance tests kill here. */
  readonly onStep?: OnStep | undefined;
  /** A file that cannot be written ends the process: the next start checks before it serves. */
  readonly onFatal: (error: unknown) => void;
};

const tickMs = 200;
const observeMsMax = 60_000;
const executeMsMax = 300_000;

type Of<Kind extends AgentEffect["kind"]> = Extract<AgentEffect, { readonly kind: Kind }>;
type BusyChild = { readonly kind: "unknown"; readonly reason: string; readonly busy: boolean };

/** The impure shell of the agent: performs the core's effects and feeds the answers back. */
export class Runner implements AsyncDisposable {
  readonly #options: RunnerOptions;
  readonly #core: AgentCore;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #answers = new Map<number, (answer: PluginAnswer) => void>();
  /** Datasets whose lock was found free: no child of an earlier agent, or of ours, outlived it. */
  readonly #unlocked = new Set<DatasetId>();
  /** Of the steps on this node's own disks that are being carried out. */
  readonly #running = new Map<DatasetId, AbortController>();
  #nextCall = 1;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#core = new AgentCore(options.agent);
    this.#timer = setInterval(() => this.step({ kind: "tick" }), tickMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort(new FlockerError("CONTROL_UNAVAILABLE", "The agent is being stopped."));
  }

  connected(): void {
    this.step({ kind: "connected" });
  }

  disconnected(): void {
    this.step({ kind: "disconnected" });
  }

  received(message: ControlMessage): void {
    this.step({ kind: "received", message });
  }

  engine(seen: EngineSeen | null): void {
    this.step({ kind: "engine", seen });
  }

  /** A call of the engine; `signal` aborts when nobody waits for its answer any more. */
  call(call: PluginCall, signal: AbortSignal): Promise<PluginAnswer> {
    const callId = this.#nextCall;
    this.#nextCall += 1;
    return new Promise((resolve) => {
      this.#answers.set(callId, resolve);
      signal.addEventListener("abort", () => this.step({ kind: "abandoned", callId }), {
        once: true,
      });
      this.step({ kind: "called", callId, call });
    });
  }

  step(event: AgentEvent): void {
    if (this.#abort.signal.aborted) return;
    for (const effect of this.#core.step(event, this.#options.nowMs())) this.#perform(effect);
  }

  #perform(effect: AgentEffect): void {
    const { log, files } = this.#options;
    switch (effect.kind) {
      case "send":
        this.#send(effect.message);
        break;
      case "disconnect":
        this.#options.disconnect(effect.reason);
        break;
      case "observe":
        this.#start(this.#observe(effect.datasetId, effect.record));
        break;
      case "execute":
        this.#start(this.#execute(effect.action, effect.actionId));
        break;
      case "observe_local":
        this.#start(this.#observeLocal(effect));
        break;
      case "execute_local":
        this.#start(this.#executeLocal(effect));
        break;
      case "abort":
        this.#running
          .get(effect.datasetId)
          ?.abort(new FlockerError("REVISION_CONFLICT", effect.reason));
        break;
      case "start_container":
        this.#start(this.#startContainer(effect.containerId));
        break;
      case "answer":
        this.#start(this.#answer(effect.callId, effect.answer));
        break;
      case "cut":
        this.#start(this.#cut(effect.datasetId));
        break;
      case "persist_cluster":
        this.#start(this.#persist(files.saveCluster(effect.file), effect.token));
        break;
      case "persist_run":
        this.#start(this.#persist(files.saveRun(effect.file), effect.token));
        break;
      case "log":
        log[effect.level](effect.event, effect.fields);
        break;
      default:
        unreachable(effect);
    }
  }

  /** The record of which a move's source is this node; null when there is none. */
  announced(move: OpId): DatasetRecord | null {
    const { records, options } = this.#core.state;
    for (const { record } of records.values()) {
      if (record.move?.id === move && record.move.source === options.node) return record;
    }
    return null;
  }

  #send(message: AgentMessage): void {
    const { send, onStep } = this.#options;
    if (onStep === undefined || message.kind !== "report") return send(message);
    const { kind } = message.report;
    return this.#start(stepped(onStep, `report.${kind}`, async () => send(message)));
  }

  #start(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.#options.onFatal(error);
    });
  }

  async #persist(written: Promise<void>, token: number): Promise<void> {
    await written;
    this.step({ kind: "persisted", token });
  }

  #call(datasetId: DatasetId, deadlineMs: number, fields: Readonly<Record<string, unknown>>): Call {
    return {
      signal: this.#abort.signal,
      deadlineMs,
      lockFile: `${this.#options.lockDir}/${datasetId}`,
      log: this.#options.log.child({ datasetId, ...fields }),
    };
  }

  #ports(): Ports {
    const { agent, host, backends, onStep } = this.#options;
    return {
      node: agent.node,
      era: agent.bootId,
      clusterId: agent.clusterId,
      host,
      backend: (pool) => poolNamed(backends, pool, agent.poolsAway),
      valid: (action) => this.#core.state.stands(action),
      onStep,
    };
  }

  #localPorts(): LocalPorts {
    const { agent, host, localBackends, peers, onStep } = this.#options;
    return {
      node: agent.node,
      clusterId: agent.clusterId,
      host,
      backend: (pool) => poolNamed(localBackends, pool, agent.poolsAway),
      peers,
      valid: (action) => this.#core.state.standsLocal(action),
      onStep,
    };
  }

  async #observe(datasetId: DatasetId, record: DatasetRecord | null): Promise<void> {
    const call = this.#call(datasetId, observeMsMax, { actionId: this.#options.newId() });
    const busy = await this.#busyChild(datasetId, call);
    const observed = busy ?? (await observe(datasetId, record, this.#ports(), call));
    this.step({ kind: "observed", datasetId, observed });
  }

  async #observeLocal(asked: Of<"observe_local">): Promise<void> {
    const { datasetId } = asked;
    const call = this.#call(datasetId, observeMsMax, { actionId: this.#options.newId() });
    const busy = await this.#busyChild(datasetId, call);
    const look =
      busy === null
        ? await observeLocal(asked, this.#localPorts(), call)
        : { observed: busy, found: null };
    this.step({ kind: "observed_local", datasetId, ...look });
  }

  /**
   * Before the first look, and after a step whose child was given up: it may still be at work, and
   * a driver that needs no lock would detach what the child then mounts (ADR 0013).
   */
  async #busyChild(datasetId: DatasetId, call: Call): Promise<BusyChild | null> {
    if (this.#unlocked.has(datasetId)) return null;
    try {
      await exec("true", [], {
        deadlineMs: call.deadlineMs,
        signal: call.signal,
        lockFile: call.lockFile,
      });
      this.#unlocked.add(datasetId);
      return null;
    } catch (error) {
      const busy = hasCode(error, "BUSY_CHILD");
      return { kind: "unknown", reason: messageOf(error), busy };
    }
  }

  async #execute(action: Action, actionId: string): Promise<void> {
    const call = this.#call(action.datasetId, executeMsMax, { action: action.kind, actionId });
    await this.#carryOut(action, call, () => execute(action, this.#ports(), call));
  }

  async #executeLocal({ action, actionId, peer }: Of<"execute_local">): Promise<void> {
    const { datasetId, kind } = action;
    const abort = new AbortController();
    this.#running.set(datasetId, abort);
    const call = this.#call(datasetId, executeMsMax, { action: kind, actionId });
    const signal = AbortSignal.any([call.signal, abort.signal]);
    await this.#carryOut(action, call, () =>
      executeLocal(action, peer, this.#localPorts(), { ...call, signal }),
    );
  }

  async #carryOut(
    action: Action | LocalAction,
    { log }: Call,
    work: () => Promise<void>,
  ): Promise<void> {
    const begunMs = this.#options.nowMs();
    let outcome: Outcome = { kind: "ok" };
    try {
      await work();
    } catch (error) {
      outcome = failureOf(error);
      // A child that could not be ended still has the lock: the next look waits for it.
      this.#unlocked.delete(action.datasetId);
    }
    this.#running.delete(action.datasetId);
    const durationMs = Math.round(this.#options.nowMs() - begunMs);
    log.debug("action.ended", { outcome: outcome.kind, durationMs });
    this.step({ kind: "executed", action, outcome });
  }

  async #cut(datasetId: DatasetId): Promise<void> {
    const call = this.#call(datasetId, executeMsMax, { action: "cut_access" });
    try {
      await this.#options.host.cut(datasetId, call);
    } catch (error) {
      call.log.warn("action.failed", { code: failureOf(error).code, message: messageOf(error) });
    }
  }

  async #startContainer(containerId: string): Promise<void> {
    const outcome = await this.#options.startContainer(containerId, this.#abort.signal);
    this.step({ kind: "start_ended", containerId, outcome });
  }

  /** A mount point is only told to the engine once the engine's own view of it is the right one. */
  async #answer(callId: number, answer: PluginAnswer): Promise<void> {
    const resolve = this.#answers.get(callId);
    if (resolve === undefined) return;
    this.#answers.delete(callId);
    resolve(await this.#checkedAnswer(callId, answer));
  }

  async #checkedAnswer(callId: number, answer: PluginAnswer): Promise<PluginAnswer> {
    if (answer.kind !== "mountpoint") return answer;
    const datasetId = this.#datasetAt(answer.mountpoint);
    if (datasetId === null) return answer;
    const call = this.#call(datasetId, observeMsMax, { actionId: this.#options.newId() });
    const seen = await this.#options
      .seenByEngine(datasetId, { ...call, lockFile: undefined })
      .catch((error: unknown) => {
        call.log.warn("engine.unseen", { err: messageOf(error) });
        return null;
      });
    if (seen !== false) return answer;
    this.step({ kind: "abandoned", callId });
    return {
      kind: "error",
      message:
        `The container engine does not see ${answer.mountpoint} as this agent does: one of them ` +
        "runs in a private mount namespace. Run both with shared mount propagation " +
        "(no PrivateMounts, PrivateTmp or ProtectSystem).",
    };
  }

  #datasetAt(mountpoint: string): DatasetId | null {
    const { state } = this.#core;
    return [...state.datasets.keys()].find((id) => state.mountpoint(id) === mountpoint) ?? null;
  }
}

function poolNamed<Backend>(
  backends: ReadonlyMap<string, Backend>,
  pool: string,
  poolsAway: AgentOptions["poolsAway"] = [],
): Backend {
  const backend = backends.get(pool);
  if (backend !== undefined) return backend;
  const away = poolsAway.find(({ name }) => name === pool);
  if (away !== undefined) {
    const message = `Pool ${pool} could not be opened and is tried again: ${away.message}`;
    throw new FlockerError("BACKEND_UNAVAILABLE", message);
  }
  throw new FlockerError("POOL_UNKNOWN", `This node has no pool named ${pool}.`);
}
