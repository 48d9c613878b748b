import type { DatasetId } from "../../domain/ids.ts";
import { type DatasetRecord, liveCopy, type Move, nameOf } from "../../domain/record.ts";
import type { Progress } from "../../protocol/agent-messages.ts";
import type { AgentState, Local, WaitingMount } from "./agent-state.ts";
import type { ContainerSeen } from "./effects.ts";

/** This node may show the dataset to a new user right now. */
export function usable(state: AgentState, { datasetId }: Pick<Local, "datasetId">): boolean {
  return usableClaim(state, datasetId) !== null;
}

/** Generation of a claim that this node has and did not say back; null without one. */
export function usableClaim(state: AgentState, datasetId: DatasetId): number | null {
  const want = state.desired(datasetId);
  if (want.kind !== "use") return null;
  const { generation } = want.claim;
  return state.datasets.get(datasetId)?.releaseAsked === generation ? null : generation;
}

/**
 * A Mount: answered at once when the dataset is shown under a claim that is not on its way back;
 * otherwise it waits, and without a claim it is a wish (ADR 0012).
 */
export function mount(state: AgentState, local: Local, waiting: WaitingMount, nowMs: number): void {
  if (local.waiting.some(({ callId }) => callId === waiting.callId)) return;
  local.waiting = [...local.waiting, waiting];
  if (usable(state, local)) {
    if (state.shown(local)) answerWaiting(state, local, nowMs);
    return;
  }
  local.wishSinceMs ??= nowMs;
  if (local.waiting.length === 1 && local.wishEndedAtMs + state.timings.wishAgeMs < nowMs) {
    local.wishSinceMs = nowMs;
  }
  sendWish(state, local, nowMs);
}

/** A wish is taken back by its agent; only one whose agent cannot speak runs out. */
const wishSlackMs = 5_000;

/** One wish per dataset and node, with the latest deadline of its Mounts. */
export function sendWish(state: AgentState, local: Local, nowMs: number): void {
  if (local.waiting.length === 0 || usable(state, local)) return;
  const untilMs = Math.max(...local.waiting.map((one) => one.untilMs));
  state.send({
    kind: "wish",
    datasetId: local.datasetId,
    // The control service must not forget it before the Mount is answered with what it waits for.
    remainingMs: Math.max(0, untilMs - nowMs) + wishSlackMs,
    ageMs: nowMs - (local.wishSinceMs ?? nowMs),
  });
}

/** The dataset is shown: every waiting Mount gets its user, written to /run before the answer. */
export function answerWaiting(state: AgentState, local: Local, nowMs: number): void {
  if (!usable(state, local) || !state.shown(local)) return;
  const { waiting, datasetId } = local;
  local.waiting = [];
  local.wishSinceMs = null;
  for (const { callId, id } of waiting) {
    local.users.set(id, { id, callId, sinceMs: nowMs, missedAtMs: null });
    state.persistRun({ kind: "answer_mount", callId, datasetId, userId: id });
  }
}

/** The user is in /run by now: whatever becomes of this process, the next one knows it. */
export function answerMount(
  state: AgentState,
  local: Local,
  answered: { readonly callId: number; readonly userId: string },
): void {
  // The engine gave up, or the volume was cut, while the user was being written.
  const user = local.users.get(answered.userId);
  if (user === undefined) return;
  state.emit({
    kind: "answer",
    callId: answered.callId,
    answer: { kind: "mountpoint", mountpoint: state.mountpoint(local.datasetId) },
  });
}

/** Ends a user; one that is not known is no error. */
export function unmount(state: AgentState, local: Local, id: string, nowMs: number): void {
  if (!local.users.delete(id)) return;
  local.lastUnmountAtMs = nowMs;
  local.wakeAtMs = local.phase === "idle" ? nowMs : local.wakeAtMs;
  state.persistRun(null);
}

/** The engine closed the socket before it got the answer: undone at once, whatever it was. */
export function abandonMount(state: AgentState, local: Local, callId: number, nowMs: number): void {
  const waited = local.waiting.length;
  local.waiting = local.waiting.filter((one) => one.callId !== callId);
  if (waited > 0 && local.waiting.length === 0) endWish(state, local, nowMs);
  for (const user of local.users.values()) {
    if (user.callId === callId) unmount(state, local, user.id, nowMs);
  }
}

function endWish(state: AgentState, local: Local, nowMs: number): void {
  local.wishEndedAtMs = nowMs;
  state.send({ kind: "wish_ended", datasetId: local.datasetId });
}

/**
 * Mounts whose own deadline passed are answered with what they waited for; trying again goes on.
 */
export function expireMounts(state: AgentState, local: Local, nowMs: number): void {
  const late = local.waiting.filter(({ untilMs }) => untilMs <= nowMs);
  if (late.length === 0) return;
  local.waiting = local.waiting.filter(({ untilMs }) => untilMs > nowMs);
  if (local.waiting.length === 0) endWish(state, local, nowMs);
  for (const { callId } of late) {
    state.emit({
      kind: "answer",
      callId,
      answer: {
        kind: "error",
        message: `Timed out waiting for dataset to mount. ${why(state, local)}`,
      },
    });
  }
}

/** What a Mount waits for, for a person. */
export function why(state: AgentState, local: Local): string {
  if (local.condition !== null) return local.condition.message;
  const { link } = state;
  if (link === null) {
    return "The control service cannot be reached from this node; trying again continues.";
  }
  if (link.mode.kind !== "normal") return link.mode.message;
  if (link.condition !== null) return link.condition.message;
  const record = state.records.get(local.datasetId)?.record;
  return record === undefined
    ? "The control service did not answer the wish for it; trying again continues."
    : waitingText(state, local, record);
}

function waitingText(state: AgentState, local: Local, record: DatasetRecord): string {
  const name = nameOf(record) ?? record.datasetId;
  const { claim, op, residue, move } = record;
  if (move?.target === state.options.node) return comingText(name, move, local.progress);
  if (claim !== null && claim.node !== state.options.node) {
    return (
      `Volume ${name} is in use on node ${claim.node}. Stop its container there, then try again; ` +
      `flockerctl show ${name} says which one it is.`
    );
  }
  if (op !== null) {
    const what = op.kind === "destroy" ? "destruction" : "forced detach";
    const from = op.target === null ? "" : ` from node ${op.target}`;
    return `The ${what} of volume ${name}${from} is not confirmed yet; trying again continues.`;
  }
  if (residue !== null) {
    return (
      `Node ${residue} must confirm that nothing of volume ${name} is left on it. Start its agent, ` +
      `or if it is gone for good: flockerctl node declare-dead ${residue}`
    );
  }
  const live = liveCopy(record);
  if (live !== null && live.node !== state.options.node) {
    return `Volume ${name} is on the disks of node ${live.node}; its move has not begun yet.`;
  }
  return `Volume ${name} is being prepared on this node; trying again continues.`;
}

function comingText(name: string, { source, phase }: Move, progress: Progress | null): string {
  const bytes = progress === null ? null : `${Math.round(progress.bytes / 2 ** 20)} MiB`;
  const total = progress?.totalBytes ?? 0;
  const percent = Math.floor(((progress?.bytes ?? 0) / Math.max(total, 1)) * 100);
  // The total is an estimate of the source's: more may come than it said.
  const part = total === 0 ? bytes : `${Math.min(percent, 99)} % (${bytes})`;
  const how = phase === "sealed" ? "is on its way" : "is being copied";
  return (
    `Volume ${name} ${how} from node ${source}${part === null ? "" : `: ${part} so far`}; ` +
    "trying again continues."
  );
}

/** A holder that is idle begins to give back what somebody else wants (ADR 0012). */
export function considerRelease(state: AgentState, local: Local, nowMs: number): void {
  const entry = state.records.get(local.datasetId);
  const want = state.desired(local.datasetId);
  if (entry === undefined || want.kind !== "use") return;
  // A service that may not write cannot record it, and our own Mounts would queue behind it.
  if (state.link?.mode.kind !== "normal") return;
  const { generation } = want.claim;
  if (local.releaseAsked === generation) return;
  if (entry.wantedBy === null && entry.record.deletion === null) return;
  if (local.users.size > 0 || local.waiting.length > 0) return;
  const idleSinceMs = local.lastUnmountAtMs;
  const lingers = idleSinceMs !== null && nowMs < idleSinceMs + state.timings.lingerMs;
  if (lingers && !containersGone(state, entry.record, idleSinceMs)) return;
  if (local.phase !== "idle") return;
  // Users by path are no Mounts: only a look after the last Unmount can tell that there is none.
  const see = local.observed;
  if (see === null || (idleSinceMs !== null && local.observedAtMs < idleSinceMs)) {
    local.wakeAtMs = Math.min(local.wakeAtMs ?? nowMs, nowMs);
    return;
  }
  if (see.kind === "shown" && see.holders.length > 0) {
    local.wakeAtMs = Math.min(local.wakeAtMs ?? Infinity, nowMs + state.timings.retryMsMin);
    return;
  }
  local.releaseAsked = generation;
  state.send({ kind: "release_begun", datasetId: local.datasetId, generation });
}

/** The engine's own word, later than the last Unmount, that no container names the volume. */
function containersGone(state: AgentState, record: DatasetRecord, sinceMs: number): boolean {
  const { engine } = state;
  if (engine === null || engine.atMs <= sinceMs) return false;
  return !engine.containers.some((container) => uses(container, record));
}

function uses(container: ContainerSeen, record: DatasetRecord): boolean {
  const name = nameOf(record);
  return name !== null && container.volumes.includes(name);
}

/**
 * The storage shows it attached to a node that has no claim: the store that knew of that was set
 * back, perhaps. Whoever has the claim, and nothing of the volume, gives it back, so that the other
 * one cleans up; nobody is ever taken from by that.
 */
export function giveBackElsewhere(state: AgentState, local: Local, nowMs: number): void {
  const { datasetId, observed: see } = local;
  const want = state.desired(datasetId);
  if (want.kind !== "use" || see?.kind !== "elsewhere" || want.record.volume.kind !== "exists") {
    return;
  }
  const { generation } = want.claim;
  // An attach of our own that was not answered may still land.
  if (local.phase !== "idle" || nowMs < local.unsettledUntilMs) return;
  if (state.link?.mode.kind !== "normal" || !state.link.synced) return;
  if (local.releaseAsked === generation || !state.nodes.has(see.node)) return;
  local.releaseAsked = generation;
  state.send({ kind: "attached_elsewhere", datasetId, generation, node: see.node });
}

/**
 * A claim that a wish of ours won after its last Mount had ended is not wanted any more. Returns
 * true when it was declined.
 */
export function declineLate(state: AgentState, local: Local): boolean {
  const want = state.desired(local.datasetId);
  if (want.kind !== "use" || want.claim.phase !== "granted" || want.claim.before === null) {
    return false;
  }
  const { generation } = want.claim;
  if (local.waiting.length > 0 || local.users.size > 0) return false;
  if (local.begun >= generation || local.releaseAsked === generation) return false;
  local.releaseAsked = generation;
  state.send({ kind: "declined", datasetId: local.datasetId, generation });
  return true;
}
