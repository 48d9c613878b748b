import type { DatasetId } from "../../domain/ids.ts";
import type { Report } from "../../domain/report.ts";
import { unreachable } from "../../lib/assert.ts";
import type { Action } from "../../planner/action.ts";
import { decideAttachable } from "../../planner/attachable-table.ts";
import { type Decision, report as sayReport, wait } from "../../planner/decision.ts";
import type { Desired } from "../../planner/desired.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import type { DesiredLocal } from "../../planner/local-desired.ts";
import { decideLocal } from "../../planner/local-table.ts";
import type { ObservedAttachable, ObservedLocal } from "../../planner/observed.ts";
import type { Observation } from "../../protocol/agent-messages.ts";
import type { AgentState, Local } from "./agent-state.ts";
import type { Found, Outcome } from "./effects.ts";
import { beginLocal, started, sweep, whenReady } from "./local-steps.ts";
import { answerWaiting, giveBackElsewhere } from "./mounts.ts";
import type { Side } from "./side.ts";

/** Looks at a dataset as soon as nothing is in flight for it. */
export function kick(state: AgentState, datasetId: DatasetId): void {
  const local = state.local(datasetId);
  if (local.phase !== "idle") {
    local.dirty = true;
    return;
  }
  local.wakeAtMs = null;
  local.dirty = false;
  local.phase = "observing";
  const side = state.side(datasetId);
  local.lookedFor = lookOf(side);
  const { record } = side;
  if (side.kind === "attachable") state.emit({ kind: "observe", datasetId, record });
  else state.emit({ kind: "observe_local", datasetId, record: side.record, want: side.want });
}

/** Of a local pool only that is looked at which matters for what is desired. */
function lookOf(side: Side): string {
  return side.kind === "local" ? `local ${side.want.kind}` : side.kind;
}

/** One look: decides the next step from the table and starts it, or says when to look again. */
export function observed(
  state: AgentState,
  datasetId: DatasetId,
  see: ObservedAttachable,
  nowMs: number,
): void {
  const local = looked(state, datasetId, see, nowMs);
  const side = state.side(datasetId);
  if (local === null || side.kind !== "attachable") return;
  const { want } = side;
  const decide = state.options.decide ?? decideAttachable;
  const decision = answeredMount(local, want, see) ?? doneOp(local, want) ?? decide(want, see);
  const begin = (action: Action): void => perform(state, local, action, nowMs);
  follow(state, local, { side, next: nextOf(decision, begin) }, nowMs);
  giveBackElsewhere(state, local, nowMs);
  report(state, local);
}

/** The same for a dataset of a local pool. */
export function observedLocal(
  state: AgentState,
  datasetId: DatasetId,
  { see, found }: { readonly see: ObservedLocal; readonly found: Found | null },
  nowMs: number,
): void {
  const { found: before } = state.local(datasetId);
  state.local(datasetId).found = found ?? before;
  const local = looked(state, datasetId, see, nowMs);
  const side = state.side(datasetId);
  if (local === null || side.kind !== "local") return;
  const { want } = side;
  const decide = state.options.decideLocal ?? decideLocal;
  const decision = answeredMount(local, want, see) ?? whenReady(state, decide(want, see));
  const begin = (action: LocalAction): void => {
    takeClaim(state, local, action.generation);
    beginLocal(state, local, action);
  };
  follow(state, local, { side, next: nextOf(decision, begin) }, nowMs);
  report(state, local);
}

/** Null when what would be decided on has changed since the look was begun: it is made anew. */
function looked(
  state: AgentState,
  datasetId: DatasetId,
  see: ObservedAttachable | ObservedLocal,
  nowMs: number,
): Local | null {
  const local = state.local(datasetId);
  local.phase = "idle";
  local.observed = see;
  local.observedAtMs = nowMs;
  local.hiding = false;
  if (!local.dirty && local.lookedFor === lookOf(state.side(datasetId))) return local;
  kick(state, datasetId);
  return null;
}

type Said = Exclude<Decision, { readonly kind: "act" }>;
type Next = Said | { readonly kind: "act"; readonly begin: () => void };

function nextOf<A>(
  decision: Said | { readonly kind: "act"; readonly action: A },
  begin: (action: A) => void,
): Next {
  if (decision.kind !== "act") return decision;
  const { action } = decision;
  return { kind: "act", begin: () => begin(action) };
}

/**
 * Between Mount's answer and the container's bind no process shows the user, and a Mount may have
 * been answered under a claim whose release the control service had recorded already (its word was
 * lost with a connection or an agent). What was answered stays until its Unmount.
 */
function answeredMount(
  local: Local,
  want: Desired | DesiredLocal,
  see: ObservedAttachable | ObservedLocal,
): Said | null {
  if (want.kind !== "release" && want.kind !== "seal") return null;
  if (see.kind !== "shown" || see.holders.length > 0 || local.users.size === 0) return null;
  return wait(
    "HELD",
    `Dataset ${local.datasetId} was given to ${local.users.size} container(s) that did not bind it yet.`,
  );
}

/**
 * A forced detach that was reported as done may be over for the control service too: the target
 * then has a new claim, and what is seen attached to it is no longer ours to take.
 */
function doneOp(local: Local, want: Desired): Said | null {
  if (want.kind !== "operate" || local.opDone !== want.op.id) return null;
  return sayReport({ kind: "op_done", op: want.op.id });
}

type Decided = { readonly side: Side; readonly next: Next };

function follow(state: AgentState, local: Local, { side, next }: Decided, nowMs: number): void {
  switch (next.kind) {
    case "act":
      if (saidBack(local, side)) return undefined;
      // Nobody holds it any more, whatever comes of the step.
      if (local.condition?.code === "HELD") local.condition = null;
      return next.begin();
    case "report":
      return tell(state, local, { side, what: next.report }, nowMs);
    case "wait": {
      const heldMs = next.condition.code === "HELD" ? state.timings.heldMs : Infinity;
      const nextRetryMs = Math.min(retryMs(state, local), heldMs);
      local.condition = { ...next.condition, attempt: local.failures, nextRetryMs };
      local.wakeAtMs = nowMs + nextRetryMs;
      local.failures += 1;
      return undefined;
    }
    case "done":
      local.condition = null;
      local.failures = 0;
      local.wakeAtMs = needsWatching(state, local, side) ? nowMs + idleMs(state, local) : null;
      if (side.want.kind === "use") answerWaiting(state, local, nowMs);
      return sweep(state, local);
    default:
      return unreachable(next);
  }
}

/** Nothing new is done under a claim that was, or may have been, said back. */
function saidBack(local: Local, { want }: Side): boolean {
  return want.kind === "use" && local.releaseAsked === want.claim.generation;
}

/** While others wait, people are told who uses it. */
function idleMs({ records, timings }: AgentState, { datasetId }: Local): number {
  const entry = records.get(datasetId);
  const isWaitedFor =
    (entry?.wantedBy ?? null) !== null || (entry?.record.deletion ?? null) !== null;
  return isWaitedFor ? timings.heldMs : timings.idleMs;
}

function needsWatching(state: AgentState, local: Local, { want }: Side): boolean {
  return want.kind !== "nothing" || local.users.size > 0 || state.records.has(local.datasetId);
}

function retryMs(state: AgentState, local: Local): number {
  const { retryMsMin, retryMsMax } = state.timings;
  return Math.min(retryMsMin * 2 ** Math.min(local.failures, 8), retryMsMax);
}

/**
 * Requests without a definitive answer may still land: nothing new is built on top of them. What is
 * done to a node's own disks is done by children under the dataset's lock: free means landed.
 */
function settled({ kind }: Side, local: Local, nowMs: number): boolean {
  return kind === "local" || nowMs >= local.unsettledUntilMs;
}

function perform(state: AgentState, local: Local, action: Action, nowMs: number): void {
  const side = state.side(local.datasetId);
  if (action.kind === "attach_volume" && !settled(side, local, nowMs)) {
    local.wakeAtMs = local.unsettledUntilMs;
    return;
  }
  takeClaim(state, local, action.generation);
  const actionId = started(state, local, action);
  state.emit({ kind: "execute", action, actionId });
}

/** Before the first step under a claim: it is in use from here and cannot be declined. */
function takeClaim(state: AgentState, local: Local, generation: number | null): void {
  local.begun = Math.max(local.begun, generation ?? 0);
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

type Told = { readonly side: Side; readonly what: Report };

function tell(state: AgentState, local: Local, { side, what }: Told, nowMs: number): void {
  const ends = isEnd(what);
  if (ends && !settled(side, local, nowMs)) {
    local.wakeAtMs = local.unsettledUntilMs;
    return;
  }
  const ended = endedBy(side, what);
  if (ended > (state.ended.get(local.datasetId) ?? 0)) {
    state.ended.set(local.datasetId, ended);
    state.persistRun(null);
  }
  // A next process that reads an older file would take the claim for one that it may use.
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

/** Whether something that this node had, or did, is over with it. */
function isEnd({ kind }: Report): boolean {
  switch (kind) {
    case "volume_created":
    case "formatted":
    case "copied":
    case "received":
    case "settled":
      return false;
    case "released":
    case "sealed":
    case "cleared":
    case "cut_done":
    case "op_done":
    case "discarded":
      return true;
    default:
      return unreachable(kind);
  }
}

/** The generation that a report gives back; 0 for none. Sealing is giving back as well. */
function endedBy({ want }: Side, what: Report): number {
  if (what.kind === "released") return what.generation;
  return what.kind === "sealed" && want.kind === "seal" ? (want.record.claim?.generation ?? 0) : 0;
}

/** An action ended. Success is only believed when the next look shows it. */
export function executed(
  state: AgentState,
  action: Action | LocalAction,
  outcome: Outcome,
  nowMs: number,
): void {
  const local = state.local(action.datasetId);
  local.phase = "idle";
  local.running = null;
  local.progress = null;
  const { actionId } = local;
  const fields = { datasetId: action.datasetId, actionId, action: action.kind };
  const completed = { ...fields, generation: action.generation };
  const isCut = action.kind === "cut_access" || action.kind === "stop_access";
  if (outcome.kind === "ok" && isCut) {
    // Whoever held it when it was cut may need a while to end: look again, not at once for ever.
    local.failures += 1;
    local.wakeAtMs = nowMs + retryMs(state, local);
    state.log("info", "action.completed", completed);
    if (local.dirty) kick(state, action.datasetId);
    return;
  }
  if (outcome.kind === "ok") {
    local.failures = 0;
    // What it was made of is needed no more once it is used, and pins what is overwritten then.
    if (action.kind === "promote_received") local.sweepDue = true;
    state.log("info", "action.completed", completed);
    kick(state, action.datasetId);
    return;
  }
  failed(state, local, { action, outcome }, nowMs);
}

type Failed = {
  readonly action: Action | LocalAction;
  readonly outcome: Extract<Outcome, { readonly kind: "failed" }>;
};

function failed(state: AgentState, local: Local, { action, outcome }: Failed, nowMs: number): void {
  const { code, condition, message, indefinite } = outcome;
  const { datasetId, actionId } = local;
  if (indefinite) local.unsettledUntilMs = nowMs + state.operationMsMax(action.pool);
  local.failures += 1;
  local.condition = {
    code: condition,
    message: `${action.kind} failed: ${message}`,
    attempt: local.failures,
    nextRetryMs: retryMs(state, local),
  };
  local.wakeAtMs = nowMs + retryMs(state, local);
  const fields = { datasetId, actionId, action: action.kind };
  state.log("warn", "action.failed", { ...fields, code, message, attempt: local.failures });
  report(state, local);
  if (local.dirty) kick(state, datasetId);
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
    usedBytes: local.found?.usedBytes ?? null,
    progress: local.progress,
    copies: local.found?.copies ?? [],
  };
}
