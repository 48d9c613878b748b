import type { AttachableBackend, Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import type { DatasetRecord } from "../domain/record.ts";
import { errorCodes, type ErrorCode, FlockerError, hasCode, messageOf } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import type { Logger } from "../lib/log.ts";
import type { Action } from "../planner/action.ts";
import type { ObservedAttachable } from "../planner/observed.ts";
import type { ControlMessage } from "../protocol/agent-messages.ts";
import { AgentCore } from "./core/agent-core.ts";
import type { AgentOptions } from "./core/agent-state.ts";
import type { AgentEffect, AgentEvent, EngineSeen, Outcome, StartOutcome } from "./core/effects.ts";
import { execute, type Ports } from "./core/executor.ts";
import type { Host } from "./core/host.ts";
import { observe } from "./core/observe.ts";
import type { PluginAnswer, PluginCall } from "./core/plugin-call.ts";
import type { StateFiles } from "./state-files.ts";

export type RunnerOptions = {
  readonly agent: AgentOptions;
  readonly host: Host;
  readonly backends: ReadonlyMap<string, AttachableBackend>;
  readonly files: StateFiles;
  readonly lockDir: string;
  readonly log: Logger;
  /** Monotonic; counts from any origin. */
  readonly nowMs: () => number;
  readonly newId: () => string;
  readonly send: (message: Extract<AgentEffect, { readonly kind: "send" }>["message"]) => void;
  readonly disconnect: (reason: string) => void;
  /** Whether the engine sees what was shown; null when there is no engine to ask. */
  readonly seenByEngine: (datasetId: DatasetId, call: Call) => Promise<boolean | null>;
  /** Starts a container that waits for its volume, and no other; never rejects. */
  readonly startContainer: (id: string, signal: AbortSignal) => Promise<StartOutcome>;
  /** Called before and after each step of an action; the acceptance tests kill here. */
  readonly onStep?: (step: string, phase: "before" | "after") => Promise<void>;
  /** A file that cannot be written ends the process: the next start checks before it serves. */
  readonly onFatal: (error: unknown) => void;
};

const tickMs = 200;
const observeMsMax = 60_000;
const executeMsMax = 300_000;

/** The impure shell of the agent: performs the core's effects and feeds the answers back. */
export class Runner implements AsyncDisposable {
  readonly #options: RunnerOptions;
  readonly #core: AgentCore;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #answers = new Map<number, (answer: PluginAnswer) => void>();
  /** Datasets whose lock was found free of children of an earlier agent. */
  readonly #unlocked = new Set<DatasetId>();
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
        this.#options.send(effect.message);
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
      case "execute_local":
      case "abort":
        throw new Error(`${effect.kind}: no pool on this node's own disks can be opened`);
      case "start_container":
        this.#start(this.#startContainer(effect.containerId));
        break;
      case "answer":
        this.#start(this.#answer(effect.callId, effect.answer));
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
    }
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
    const { agent, host, backends } = this.#options;
    return {
      node: agent.node,
      era: agent.bootId,
      clusterId: agent.clusterId,
      host,
      backend: (pool) => {
        const backend = backends.get(pool);
        if (backend !== undefined) return backend;
        throw new FlockerError("POOL_UNKNOWN", `This node has no pool named ${pool}.`);
      },
      valid: (action) => this.#core.state.stands(action),
    };
  }

  async #observe(datasetId: DatasetId, record: DatasetRecord | null): Promise<void> {
    const call = this.#call(datasetId, observeMsMax, { actionId: this.#options.newId() });
    const busy = await this.#busyChild(datasetId, call);
    const observed: ObservedAttachable =
      busy ?? (await observe(datasetId, record, this.#ports(), call));
    this.step({ kind: "observed", datasetId, observed });
  }

  /** Before the first look: a child of an earlier agent may still be at work (design 4.4). */
  async #busyChild(datasetId: DatasetId, call: Call): Promise<ObservedAttachable | null> {
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
    const { onStep } = this.#options;
    const call = this.#call(action.datasetId, executeMsMax, {
      action: action.kind,
      actionId,
    });
    const begunMs = this.#options.nowMs();
    let outcome: Outcome;
    try {
      await onStep?.(action.kind, "before");
      await execute(action, this.#ports(), call);
      await onStep?.(action.kind, "after");
      outcome = { kind: "ok" };
    } catch (error) {
      outcome = failure(error);
    }
    const durationMs = Math.round(this.#options.nowMs() - begunMs);
    call.log.debug("action.ended", { outcome: outcome.kind, durationMs });
    this.step({ kind: "executed", action, outcome });
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

/** Without a definitive answer the request may still land; a refusal of ours never does. */
function failure(error: unknown): Outcome {
  const code = codeOf(error);
  return {
    kind: "failed",
    code,
    message: messageOf(error),
    indefinite:
      code === null ||
      code === "DEADLINE_EXCEEDED" ||
      code === "BACKEND_UNAVAILABLE" ||
      code === "COMMAND_FAILED",
  };
}

function codeOf(error: unknown): ErrorCode | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const { code } = error;
  return typeof code === "string" && isErrorCode(code) ? code : null;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}
