import type { DatasetId, NodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { grantRefusal } from "../../domain/record-step.ts";
import type { CoreState } from "./core-state.ts";
import { pushRecord } from "./push.ts";
import type { Session } from "./state.ts";

/** Somebody who should have a dataset: a lasting order, a wish of a Mount, or where it rested. */
export type Want = {
  readonly node: NodeId;
  readonly kind: "order" | "wish" | "rest";
  readonly sinceMs: number;
};

const pingPongMoves = 10;
const pingPongWindowMs = 60_000;
const pingPongBackoffMs = 10_000;

/**
 * Who wants the dataset, first come first: open orders and wishes by age, then the primary where it
 * rests. Only nodes with a live session can be served (design 4.13).
 */
export function wants(state: CoreState, record: DatasetRecord, nowMs: number): readonly Want[] {
  if (record.deletion !== null || record.lost) return [];
  const order: Want = { node: record.primary, kind: "order", sinceMs: record.orderedAtMs };
  const wishes = state
    .wishesFor(record.datasetId)
    .filter((wish) => wish.untilMs > nowMs)
    .map((wish): Want => ({ node: wish.node, kind: "wish", sinceMs: wish.sinceMs }));
  const asked = [...(record.orderOpen ? [order] : []), ...wishes]
    .filter(({ node }) => servable(state, node, record.pool))
    .sort((a, b) => a.sinceMs - b.sinceMs || (a.node < b.node ? -1 : 1));
  const rest: Want = { ...order, kind: "rest" };
  return servable(state, record.primary, record.pool) ? [...asked, rest] : asked;
}

function servable(state: CoreState, node: NodeId, pool: string): boolean {
  const entry = state.nodes.get(node);
  const session = state.sessionOf(node);
  return session?.condition === null && entry?.clashWith === null && hasPool(session, pool);
}

/** The node that the holder should give the dataset back for; null when it may keep it. */
export function wantedBy(state: CoreState, record: DatasetRecord, nowMs: number): NodeId | null {
  const { claim } = record;
  if (claim === null) return null;
  const other = wants(state, record, nowMs).find(
    ({ node, kind }) => node !== claim.node && kind !== "rest",
  );
  // A served order that rests elsewhere does not exist: granting a wish moved `primary` along.
  return other?.node ?? null;
}

/**
 * Moves one dataset as far as it can go now: advances its deletion, hands out its op, grants it to
 * whoever wants it first, and pushes what changed to the nodes that it concerns.
 */
export function pump(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  const before = state.records.get(datasetId);
  // What a doubted store remembers is told to nobody: an agent would act on claims long ended.
  if (before === undefined || state.mode.kind !== "normal") return;
  advanceDeletion(state, before);
  advanceOp(state, datasetId, nowMs);
  grant(state, datasetId, nowMs);
  const record = state.records.get(datasetId);
  if (record !== undefined) pushRecord(state, record, wantedBy(state, record, nowMs));
}

function advanceDeletion(state: CoreState, record: DatasetRecord): void {
  if (record.deletion?.phase !== "deleting") return;
  state.apply(record.datasetId, { kind: "deletion_advanced", op: state.newOp() });
}

/** Chooses an executor for an open op, and takes it back once it vanished long enough ago. */
function advanceOp(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  const record = state.records.get(datasetId);
  const op = record?.op ?? null;
  if (record === undefined || op === null) return;
  if (op.executor !== null) {
    if (op.vanishedAtMs === null) return;
    const operationMsMax = state.pool(record.pool)?.capabilities.operationMsMax;
    // Counted while we run: what happened before our start cannot be known to have waited.
    const sinceMs = Math.max(op.vanishedAtMs, state.startedAtMs);
    if (operationMsMax === undefined || nowMs < sinceMs + operationMsMax) return;
    state.apply(datasetId, { kind: "op_closed", op: op.id, outcome: "not_done" });
  }
  const session = executorFor(state, record);
  if (session === null) return;
  const { node, era, number } = session;
  state.apply(datasetId, {
    kind: "op_assigned",
    op: op.id,
    executor: { node, era, session: number },
  });
}

function executorFor(state: CoreState, record: DatasetRecord): Session | null {
  const able = state
    .liveSessions()
    .filter(({ node }) => node !== record.op?.target && !record.superseded.includes(node))
    .filter((session) => hasPool(session, record.pool));
  return able.find(({ node }) => node === record.primary) ?? able[0] ?? null;
}

function grant(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  const record = state.records.get(datasetId);
  if (record === undefined || record.claim !== null) return;
  const want = wants(state, record, nowMs).find(({ node }) => grantRefusal(record, node) === null);
  const session = want === undefined ? null : state.sessionOf(want.node);
  if (want === undefined || session === null) return;
  if (backedOff(state, record, want.node, nowMs)) return;
  const refused = state.apply(datasetId, {
    kind: "granted",
    to: state.speaker(session),
    wishAtMs: want.kind === "wish" ? want.sinceMs : null,
    createOp: state.newOp(),
  });
  if (refused !== null) return;
  state.dropWish(datasetId, want.node);
  const generation = state.records.get(datasetId)?.generation;
  state.log("info", "claim.granted", { datasetId, nodeId: want.node, generation, for: want.kind });
}

function hasPool({ pools }: Session, pool: string): boolean {
  return pools.some(({ name }) => name === pool);
}

/** Moves that nobody asked for anew back off (design 4.13); a dataset that stays never does. */
function backedOff(state: CoreState, record: DatasetRecord, node: NodeId, nowMs: number): boolean {
  const recent = (state.moves.get(record.datasetId) ?? []).filter(
    (atMs) => atMs > nowMs - pingPongWindowMs,
  );
  const last = recent.at(-1);
  if (recent.length >= pingPongMoves && last !== undefined && nowMs < last + pingPongBackoffMs) {
    return true;
  }
  const moved = record.generation > 0 && record.primary !== node;
  state.moves.set(record.datasetId, moved ? [...recent, nowMs].slice(-pingPongMoves) : recent);
  return false;
}

export function pingPong(state: CoreState, datasetId: DatasetId, nowMs: number): boolean {
  const moves = state.moves.get(datasetId) ?? [];
  const last = moves.at(-1) ?? 0;
  return moves.length >= pingPongMoves && nowMs < last + pingPongBackoffMs;
}
