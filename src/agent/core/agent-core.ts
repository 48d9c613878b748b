import type { DatasetId } from "../../domain/ids.ts";
import { unreachable } from "../../lib/assert.ts";
import type { Progress } from "../../protocol/agent-messages.ts";
import { AgentState, type AgentOptions } from "./agent-state.ts";
import { executed, kick, observed, observedLocal, report } from "./dataset-loop.ts";
import { reconcileUsers, startEnded, startWaiting } from "./containers.ts";
import type { AgentEffect, AgentEvent, EngineSeen } from "./effects.ts";
import { connected, disconnected, received, sendContainers, sendShadows } from "./link.ts";
import { progressed } from "./local-steps.ts";
import { answerMount, considerRelease, expireMounts } from "./mounts.ts";
import { abandoned, called, expireRequests } from "./plugin.ts";

/**
 * The agent without its surroundings: `(state, event, nowMs) → effects`. Deterministic, no clock,
 * no I/O. `nowMs` counts from any origin and never goes back. Effects are performed in order;
 * answers of a plugin call that depends on a file leave only after `persisted`.
 */
export class AgentCore {
  readonly state: AgentState;

  constructor(options: AgentOptions) {
    this.state = new AgentState(options);
  }

  step(event: AgentEvent, nowMs: number): readonly AgentEffect[] {
    const { state } = this;
    this.#dispatch(event, nowMs);
    const { effects } = state;
    state.effects = [];
    return effects;
  }

  #dispatch(event: AgentEvent, nowMs: number): void {
    const { state } = this;
    switch (event.kind) {
      case "connected":
        return connected(state);
      case "disconnected":
        return disconnected(state);
      case "received":
        return received(state, event.message, nowMs);
      case "observed":
        return observed(state, event.datasetId, event.observed, nowMs);
      case "observed_local": {
        const { datasetId, observed: see, found } = event;
        return observedLocal(state, datasetId, { see, found }, nowMs);
      }
      case "disturbed":
        return kick(state, event.datasetId);
      case "progressed":
        return this.#progressed(event.datasetId, event.progress, nowMs);
      case "executed":
        return executed(state, event.action, event.outcome, nowMs);
      case "called":
        return called(state, event.callId, event.call, nowMs);
      case "abandoned":
        return abandoned(state, event.callId, nowMs);
      case "persisted":
        return this.#persisted(event.token);
      case "engine":
        return this.#engine(event.seen, nowMs);
      case "start_ended":
        return startEnded(state, event.containerId, event.outcome);
      case "tick":
        return this.#tick(nowMs);
      default:
        return unreachable(event);
    }
  }

  #persisted(token: number): void {
    const { state } = this;
    state.runUnwritten.delete(token);
    const then = state.afterPersist.get(token);
    if (then === undefined) return;
    state.afterPersist.delete(token);
    if (then.kind === "ack") state.send({ kind: "ack", revision: then.revision });
    else {
      const local = state.local(then.datasetId);
      answerMount(state, local, then);
      report(state, local);
    }
  }

  #engine(seen: EngineSeen | null, nowMs: number): void {
    const { state } = this;
    state.engine = seen === null ? null : { atMs: nowMs, ...seen };
    sendContainers(state);
    sendShadows(state);
  }

  #progressed(datasetId: DatasetId, progress: Progress, nowMs: number): void {
    const { state } = this;
    if (progressed(state, state.local(datasetId), progress, nowMs)) {
      report(state, state.local(datasetId));
    }
  }

  #tick(nowMs: number): void {
    const { state } = this;
    expireRequests(state, nowMs);
    for (const local of state.datasets.values()) {
      expireMounts(state, local, nowMs);
      reconcileUsers(state, local, nowMs);
      considerRelease(state, local, nowMs);
      const due = local.wakeAtMs !== null && nowMs >= local.wakeAtMs;
      if (due && local.phase === "idle") kick(state, local.datasetId);
    }
    startWaiting(state, nowMs);
  }
}
