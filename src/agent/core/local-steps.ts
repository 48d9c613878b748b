import type { Move } from "../../domain/record.ts";
import type { Action } from "../../planner/action.ts";
import { label } from "../../planner/cells.ts";
import { wait } from "../../planner/decision.ts";
import type { LocalAction, LocalDecision } from "../../planner/local-action.ts";
import type { Progress } from "../../protocol/agent-messages.ts";
import type { AgentState, Local } from "./agent-state.ts";
import { isTold } from "./side.ts";

/** Steps after which it is not shown any more. */
const takingDown: readonly (Action | LocalAction)["kind"][] = [
  "hide_volume",
  "cut_access",
  "hide_live",
  "stop_access",
];

/** A step begins: from here until it has ended nothing else is done to its dataset. */
export function started(state: AgentState, local: Local, action: Action | LocalAction): string {
  local.phase = "executing";
  local.wakeAtMs = null;
  const actionId = state.nextActionId();
  local.actionId = actionId;
  const { datasetId } = local;
  const { kind, generation } = action;
  local.hiding ||= takingDown.includes(kind);
  state.log("debug", "action.started", { datasetId, actionId, action: kind, generation });
  return actionId;
}

/** A step on a local pool begins; a receive is told where its source serves it. */
export function beginLocal(state: AgentState, local: Local, action: LocalAction): void {
  const actionId = started(state, local, action);
  local.running = action;
  const peer = action.kind === "receive_copy" ? peerOf(state, local) : null;
  state.emit({ kind: "execute_local", action, actionId, peer });
}

function peerOf(state: AgentState, { datasetId }: Local) {
  return state.records.get(datasetId)?.peer ?? null;
}

/** The decision, or what its step waits for besides the dataset itself. */
export function whenReady(state: AgentState, decision: LocalDecision): LocalDecision {
  if (decision.kind !== "act") return decision;
  const { action } = decision;
  if (action.kind === "receive_copy") return sourceAway(state, action) ?? decision;
  if (action.kind === "diverge_live") return notTold(state, action) ?? decision;
  if (action.kind === "create_live") return notPutAside(state, action) ?? decision;
  return decision;
}

type Step<Kind extends LocalAction["kind"]> = Extract<LocalAction, { readonly kind: Kind }>;

/** A receive waits for its source, which need not be there. */
function sourceAway(
  state: AgentState,
  { datasetId, move }: Step<"receive_copy">,
): LocalDecision | null {
  if (peerOf(state, state.local(datasetId)) !== null) return null;
  return wait(
    "WAITING_FOR_NODE",
    `Node ${move.source}, which has the data, cannot be reached now; what it holds is as it was.`,
  );
}

/**
 * What is to be put aside waits for a session's word. The target of a move may have become the live
 * one since the agent was told: its machine was set back to a snapshot, or it did not hear of the
 * commit.
 */
function notTold(state: AgentState, { datasetId }: Step<"diverge_live">): LocalDecision | null {
  const record = state.records.get(datasetId)?.record;
  if (isTold(state) || record === undefined) return null;
  return wait(
    "WORKING",
    `The copy of ${label(record)} here waits for the control service, which may know it as live.`,
  );
}

const putAside: readonly (string | undefined)[] = ["diverged", "absent", "base", "received"];

/**
 * A rescue takes the newest of what is beside the live volume. What was live when a person gave
 * this node up stands in its place until it is put aside: anything older would be taken for it.
 */
function notPutAside(state: AgentState, { from }: Step<"create_live">): LocalDecision | null {
  const lost = from === null ? undefined : state.records.get(from)?.record;
  if (lost === undefined) return null;
  const roles = lost.copies
    .filter(({ node }) => node === state.options.node)
    .map(({ role }) => role);
  const isParted =
    roles.includes("diverged") && !roles.includes("live") && !roles.includes("fallback");
  if (!isParted || putAside.includes(state.local(lost.datasetId).observed?.kind)) return null;
  return wait(
    "WORKING",
    `It waits until the copy of ${label(lost)} here was put aside; see the conditions of that one.`,
  );
}

/**
 * A stream may take hours: one whose move has ended or changed is not waited for. Every other step
 * is short, and what it leaves is seen by the next look.
 */
export function abortIfLost(state: AgentState, { datasetId, running }: Local): void {
  if (running?.kind !== "receive_copy" || state.standsLocal(running)) return;
  state.emit({ kind: "abort", datasetId, reason: `Move ${running.move.id} has ended.` });
}

/** A stream comes in. True when it is time to tell the control service. */
export function progressed(
  { timings }: AgentState,
  local: Local,
  progress: Progress,
  nowMs: number,
): boolean {
  if (local.running?.kind !== "receive_copy") return false; // Late: it has ended.
  local.progress = progress;
  // What failed before is being done.
  local.condition = null;
  if (nowMs < local.progressAtMs + timings.progressMs) return false;
  local.progressAtMs = nowMs;
  return true;
}

/** What a move leaves behind is in nobody's way: it is removed once all is well. */
export function moveMayHaveEnded(local: Local, before: Move | null, after: Move | null): void {
  if (before !== null && before.id !== after?.id) local.sweepDue = true;
}

/**
 * Removes what was never whole: receives of moves that a live session does not know, bases and what
 * was kept for sending. Whole copies stay, whatever they are.
 */
export function sweep(state: AgentState, local: Local): void {
  const { link } = state;
  if (!local.sweepDue || link?.synced !== true || link.mode.kind !== "normal") return;
  local.sweepDue = false;
  const { datasetId, found } = local;
  const record = state.records.get(datasetId)?.record;
  const except = record?.move?.id ?? null;
  const broken = found?.copies.find(
    ({ kind, move }) => (kind === "partial" || kind === "base") && move !== except,
  );
  const pool = record?.poolKind === "local" ? record.pool : broken?.pool;
  if (pool === undefined) return;
  beginLocal(state, local, {
    kind: "discard_partial",
    datasetId,
    pool,
    generation: null,
    except,
  });
}
