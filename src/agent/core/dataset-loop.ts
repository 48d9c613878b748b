import { conditionOfError } from "../../domain/condition.ts";
import type { DatasetId } from "../../domain/ids.ts";
import type { Report } from "../../domain/report.ts";
import { unreachable } from "../../lib/assert.ts";
import type { Action } from "../../planner/action.ts";
import { decideAttachable } from "../../planner/decide.ts";
import { type Decision, report as sayReport, wait } from "../../planner/decision.ts";
import type { Desired } from "../../planner/desired.ts";
import type { ObservedAttachable } from "../../planner/observed.ts";
import type { Observation } from "../../protocol/agent-messages.ts";
import type { AgentState, Local } from "./agent-state.ts";
import type { Outcome } from "./effects.ts";
import { answerWaiting } from "./mounts.ts";

/** Looks at a dataset as soon as nothing is in flight for it. */
export function kick(state: AgentState, datasetId: DatasetId): void {
  const local = state.local(datasetId);
  if (local.phase !== "idle") {
    local.dirty = true;
    return;
  }
  local.phase = "observing";
  local.wakeAtMs = null;
  local.dirty = false;
  const record = state.records.get(datasetId)?.record ?? null;
  state.emit({ kind: "observe", datasetId, record });
}

/** One look: decides the next step from the table and starts it, or says when to look again. */
export function observed(
  state: AgentState,
  datasetId: DatasetId,
  see: ObservedAttachable,
  nowMs: number,
): void {
  const local = state.local(datasetId);
  local.phase = "idle";
  local.observed = see;
  local.observedAtMs = nowMs;
  if (local.dirty) {
    // What was decided on has changed since the look was begun.
    kick(state, datasetId);
    return;
  }
  const want = state.desired(datasetId);
  const decide = state.options.decide ?? decideAttachable;
  const decision = answeredMount(local, want, see) ?? doneOp(local, want) ?? decide(want, see);
  follow(state, local, { want, decision }, nowMs);
  report(state, local);
}

/**
 * Between Mount's answer and the container's bind no process shows the user, and a Mount may have
 * been answered under a claim whose release the control service had recorded already (its word was
 * lost with a connection or an agent). What was answered stays until its Unmount (hazard F21).
 */
function answeredMount(local: Local, want: Desired, see: ObservedAttachable): Decision | null {
  if (want.kind !== "release" || see.kind !== "shown" || see.holders.length > 0) return null;
  if (local.users.size === 0) return null;
  return wait(
    "HELD",
    `Dataset ${local.datasetId} was given to ${local.users.size} container(s) that did not bind it yet.`,
  );
}

/**
 * A forced detach that was reported as done may be over for the control service too: the target
 * then has a new claim, and what is seen attached to it is no longer ours to take (hazard F4).
 */
function doneOp(local: Local, want: Desired): Decision | null {
  if (want.kind !== "operate" || local.opDone !== want.op.id) return null;
  return sayReport({ kind: "op_done", op: want.op.id });
}

function follow(
  state: AgentState,
  local: Local,
  { want, decision }: { readonly want: Desired; readonly decision: Decision },
  nowMs: number,
): void {
  switch (decision.kind) {
    case "act":
      if (saidBack(local, want)) return undefined;
      return perform(state, local, decision.action, nowMs);
    case "report":
      return tell(state, local, decision.report, nowMs);
    case "wait":
      local.condition = {
        ...decision.condition,
        attempt: local.failures,
        nextRetryMs: retryMs(state, local),
      };
      local.wakeAtMs = nowMs + retryMs(state, local);
      local.failures += 1;
      return undefined;
    case "done":
      local.condition = null;
      local.failures = 0;
      local.wakeAtMs = needsWatching(state, local, want) ? nowMs + state.timings.idleMs : null;
      if (want.kind === "use") answerWaiting(state, local, nowMs);
      return undefined;
    default:
      return unreachable(decision);
  }
}

/** Nothing new is done under a claim that was, or may have been, said back. */
function saidBack(local: Local, want: Desired): boolean {
  return want.kind === "use" && local.releaseAsked === want.claim.generation;
}

function needsWatching(state: AgentState, local: Local, want: Desired): boolean {
  return want.kind !== "nothing" || local.users.size > 0 || state.records.has(local.datasetId);
}

function retryMs(state: AgentState, local: Local): number {
  const { retryMsMin, retryMsMax } = state.timings;
  return Math.min(retryMsMin * 2 ** Math.min(local.failures, 8), retryMsMax);
}

/** Requests without a definitive answer may still land: nothing new is built on top of them. */
function settled(local: Local, nowMs: number): boolean {
  return nowMs >= local.unsettledUntilMs;
}

function perform(state: AgentState, local: Local, action: Action, nowMs: number): void {
  if (action.kind === "attach_volume" && !settled(local, nowMs)) {
    local.wakeAtMs = local.unsettledUntilMs;
    return;
  }
  takeClaim(state, local, action);
  local.phase = "executing";
  local.wakeAtMs = null;
  const actionId = state.nextActionId();
  local.actionId = actionId;
  state.log("debug", "action.started", {
    datasetId: local.datasetId,
    actionId,
    action: action.kind,
    generation: action.generation,
  });
  state.emit({ kind: "execute", action, actionId });
}

/** Before the first step under a claim: it is in use from here and cannot be declined. */
function takeClaim(state: AgentState, local: Local, action: Action): void {
  local.begun = Math.max(local.begun, action.generation ?? 0);
  sayTaken(state, local);
}

/** Override can tell a used grant from an unheard one; said again when it may have been lost. */
export function sayTaken(state: AgentState, local: Local): void {
  const want = state.desired(local.datasetId);
  if (want.kind !== "use" || want.claim.generation > local.begun) return;
  const { claim } = want;
  if (claim.phase !== "granted" || local.takenSent === claim.generation) return;
  local.takenSent = claim.generation;
  const { datasetId } = local;
  state.send({ kind: "taken", datasetId, generation: claim.generation });
}

function tell(state: AgentState, local: Local, what: Report, nowMs: number): void {
  const ends = what.kind !== "volume_created" && what.kind !== "formatted";
  if (ends && !settled(local, nowMs)) {
    local.wakeAtMs = local.unsettledUntilMs;
    return;
  }
  if (what.kind === "released" && (state.ended.get(local.datasetId) ?? 0) < what.generation) {
    state.ended.set(local.datasetId, what.generation);
    state.persistRun(null);
  }
  // A next process that reads an older file would take the claim for one that it may use (F5).
  if (ends && state.runUnwritten.size > 0) {
    local.wakeAtMs = nowMs;
    return;
  }
  local.condition = null;
  if (what.kind === "op_done") local.opDone = what.op;
  // Said again until the record shows it: the message or its effect may have been lost.
  local.wakeAtMs = nowMs + state.timings.resendMs;
  state.send({ kind: "report", datasetId: local.datasetId, report: what });
  state.log("debug", "report.sent", { datasetId: local.datasetId, report: what.kind });
}

/** An action ended. Success is only believed when the next look shows it. */
export function executed(state: AgentState, action: Action, outcome: Outcome, nowMs: number): void {
  const local = state.local(action.datasetId);
  local.phase = "idle";
  const { actionId } = local;
  const fields = { datasetId: action.datasetId, actionId, action: action.kind };
  if (outcome.kind === "ok" && action.kind === "cut_access") {
    // Whoever held it when it was cut may need a while to end: look again, not at once for ever.
    local.failures += 1;
    local.wakeAtMs = nowMs + retryMs(state, local);
    state.log("info", "action.completed", { ...fields, generation: action.generation });
    if (local.dirty) kick(state, action.datasetId);
    return;
  }
  if (outcome.kind === "ok") {
    local.failures = 0;
    state.log("info", "action.completed", { ...fields, generation: action.generation });
    kick(state, action.datasetId);
    return;
  }
  const { code, message, indefinite } = outcome;
  if (indefinite) local.unsettledUntilMs = nowMs + state.operationMsMax(action.pool);
  local.failures += 1;
  local.condition = {
    code: conditionOfError(code),
    message: `${action.kind} failed: ${message}`,
    attempt: local.failures,
    nextRetryMs: retryMs(state, local),
  };
  local.wakeAtMs = nowMs + retryMs(state, local);
  state.log("warn", "action.failed", { ...fields, code, message, attempt: local.failures });
  report(state, local);
  if (local.dirty) kick(state, action.datasetId);
}

/** Tells the control service what people should see, when it differs from the last time. */
export function report(state: AgentState, local: Local): void {
  if (state.link === null) return;
  const what = observation(state, local);
  const text = JSON.stringify(what);
  if (text === local.sent) return;
  local.sent = text;
  state.send({ kind: "observed", observations: [what] });
}

export function observation(state: AgentState, local: Local): Observation {
  const see = local.observed;
  const shown = see?.kind === "shown";
  const holders = see?.kind === "shown" || see?.kind === "held" ? see.holders : [];
  return {
    datasetId: local.datasetId,
    state: see?.kind ?? "unknown",
    shown,
    path: shown ? state.mountpoint(local.datasetId) : null,
    condition: local.condition,
    users: [...local.users.keys()].map((id) => ({ id, container: null })),
    holders: holders.slice(0, 8),
    usedBytes: null,
    progress: null,
    copies: [],
  };
}
