import type { DatasetId, NodeId } from "../../domain/ids.ts";
import { type DatasetRecord, liveCopy } from "../../domain/record.ts";
import { grantRefusal } from "../../domain/record-step.ts";
import type { CoreState } from "./core-state.ts";
import { abortMove, backedOff, hasPool, noteGrant, openMove, wantedBy, wants } from "./moves.ts";
import { pushRecord } from "./push.ts";
import type { Session } from "./state.ts";

/**
 * Moves one dataset as far as it can go now: advances its deletion, opens or aborts its move, hands
 * out its op, grants it to whoever wants it first, and pushes what changed to whom it concerns.
 */
export function pump(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  // What a doubted store remembers is told to nobody: an agent would act on claims long ended.
  if (!state.records.has(datasetId) || state.mode.kind !== "normal") return;
  abortMove(state, datasetId, nowMs);
  forceOffUnheard(state, datasetId, nowMs);
  advanceDeletion(state, datasetId);
  advanceOp(state, datasetId, nowMs);
  openMove(state, datasetId, nowMs);
  grant(state, datasetId, nowMs);
  // Whoever has it now may not be the only one who wants it.
  openMove(state, datasetId, nowMs);
  const record = state.records.get(datasetId);
  if (record !== undefined) pushRecord(state, record, wantedBy(state, record, nowMs));
}

/** One node after the other, and before anything else happens to the dataset. */
function forceOffUnheard(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  if (state.records.get(datasetId)?.op !== null) return;
  for (const entry of state.nodes.values()) {
    if (entry.unforced?.includes(datasetId) !== true) continue;
    const unforced = entry.unforced.filter((id) => id !== datasetId);
    state.saveNode({ ...entry, unforced });
    const word = { node: entry.nodeId, unheard: true, op: state.newOp(), atMs: nowMs };
    if (state.apply(datasetId, { kind: "overridden", ...word }) === null) return;
  }
}

function advanceDeletion(state: CoreState, datasetId: DatasetId): void {
  if (state.records.get(datasetId)?.deletion?.phase !== "deleting") return;
  state.apply(datasetId, { kind: "deletion_advanced", op: state.newOp() });
}

/** Chooses an executor for an open op, and takes it back once it vanished long enough ago. */
function advanceOp(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  const record = state.records.get(datasetId);
  const op = record?.op ?? null;
  if (record === undefined || op === null) return;
  if (op.executor !== null) {
    if (op.vanishedAtMs === null) return;
    const operationMsMax = state.pool(record.pool)?.capabilities.operationMsMax;
    // Counted while we run: what happened before our start cannot be known to have waited. An
    // instant that is still to come was told by a clock that was set back since.
    const isOurs = op.vanishedAtMs >= state.startedAtMs && op.vanishedAtMs <= nowMs;
    const sinceMs = isOurs ? op.vanishedAtMs : state.startedAtMs;
    if (operationMsMax === undefined || nowMs < sinceMs + operationMsMax) return;
    state.apply(datasetId, { kind: "op_closed", op: op.id, outcome: "not_done" });
  }
  const session = executorFor(state, record);
  if (session === null) {
    // A removed node is never heard again, and what is on its own disks never seen.
    const gone = op.kind === "destroy" && isRemoved(state, liveCopy(record)?.node);
    if (gone) state.apply(datasetId, { kind: "op_closed", op: op.id, outcome: "done" });
    return;
  }
  const { node, era, number } = session;
  state.apply(datasetId, {
    kind: "op_assigned",
    op: op.id,
    executor: { node, era, session: number },
  });
}

function isRemoved(state: CoreState, node: NodeId | undefined): boolean {
  return node !== undefined && state.nodes.get(node)?.removed === true;
}

function executorFor(state: CoreState, record: DatasetRecord): Session | null {
  const able = state
    .liveSessions()
    .filter(({ node }) => node !== record.op?.target && !record.superseded.includes(node))
    .filter((session) => hasPool(session, record));
  const live = liveCopy(record);
  // Nobody else reaches the disks that it is on.
  if (live !== null) return able.find(({ node }) => node === live.node) ?? null;
  return able.find(({ node }) => node === record.primary) ?? able[0] ?? null;
}

function grant(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  const record = state.records.get(datasetId);
  if (record === undefined || record.claim !== null) return;
  const moving = record.move !== null;
  // What rests at the source of a move is on its way: only who uses it there now is served.
  const want = wants(state, record, nowMs)
    .filter(({ kind }) => !moving || kind === "wish")
    .find(({ node }) => grantRefusal(record, node) === null);
  const session = want === undefined ? null : state.sessionOf(want.node);
  if (want === undefined || session === null) return;
  // What is granted where it lies moves nothing: a local one was held back before its move.
  if (record.poolKind === "attachable" && backedOff(state, record, nowMs)) return;
  if (!moving) noteGrant(state, record, want.node, nowMs);
  const refused = state.apply(datasetId, {
    kind: "granted",
    to: state.speaker(session),
    // Nor does a wish at the source change where it is wanted, as the move goes on.
    wishAtMs: want.kind === "wish" && !moving ? want.sinceMs : null,
    createOp: state.newOp(),
  });
  if (refused !== null) return;
  state.dropWish(datasetId, want.node);
  const generation = state.records.get(datasetId)?.generation;
  state.log("info", "claim.granted", { datasetId, nodeId: want.node, generation, for: want.kind });
}
