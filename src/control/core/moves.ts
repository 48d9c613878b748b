import type { Condition } from "../../domain/condition.ts";
import type { DatasetId, NodeId } from "../../domain/ids.ts";
import { type DatasetRecord, liveCopy, type Move } from "../../domain/record.ts";
import { moveRefusal } from "../../domain/record-move.ts";
import { grantRefusal } from "../../domain/record-step.ts";
import type { CoreState } from "./core-state.ts";
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
 * Who wants the dataset, first come first: open orders and wishes by age, then where it rests: the
 * primary, or the node of a local one's live copy. Only nodes with a live session can be served
 * (ADR 0012).
 */
export function wants(state: CoreState, record: DatasetRecord, nowMs: number): readonly Want[] {
  if (record.deletion !== null || record.lost) return [];
  const order: Want = { node: record.primary, kind: "order", sinceMs: record.orderedAtMs };
  const wishes = state
    .wishesFor(record.datasetId)
    .filter((wish) => wish.untilMs > nowMs)
    .map((wish): Want => ({ node: wish.node, kind: "wish", sinceMs: wish.sinceMs }));
  const asked = [...(record.orderOpen ? [order] : []), ...wishes]
    .filter(({ node }) => servable(state, node, record))
    .sort((a, b) => a.sinceMs - b.sinceMs || (a.node < b.node ? -1 : 1));
  const rest: Want = { ...order, node: liveCopy(record)?.node ?? record.primary, kind: "rest" };
  return servable(state, rest.node, record) ? [...asked, rest] : asked;
}

/** The node could use it at once: a session, nothing to be settled by a person, and its pool. */
export function servable(state: CoreState, node: NodeId, record: DatasetRecord): boolean {
  const entry = state.nodes.get(node);
  const session = state.sessionOf(node);
  return session?.condition === null && entry?.clashWith === null && hasPool(session, record);
}

/** A pool of the same name but of another nature is another pool. */
export function hasPool(
  { pools }: Pick<Session, "pools">,
  { pool, poolKind }: Pick<DatasetRecord, "pool" | "poolKind">,
): boolean {
  return pools.some(({ name, capabilities }) => name === pool && capabilities.kind === poolKind);
}

/** The node that the holder should give the dataset back for; null when it may keep it. */
export function wantedBy(state: CoreState, record: DatasetRecord, nowMs: number): NodeId | null {
  const { claim, move, poolKind } = record;
  if (claim === null) return null;
  // The holder of a local one goes on undisturbed until the bulk is where it is wanted, and while
  // nobody wants it there any more.
  if (poolKind === "local") {
    const isThere = move?.phase === "copied" && isWanted(state, record, move.target, nowMs);
    return isThere ? move.target : null;
  }
  const other = wants(state, record, nowMs).find(
    ({ node, kind }) => node !== claim.node && kind !== "rest",
  );
  // A served order that rests elsewhere does not exist: granting a wish moved `primary` along.
  return other?.node ?? null;
}

/** Moves that nobody asked for anew back off (ADR 0012); a dataset that stays never does. */
export function backedOff(state: CoreState, { datasetId }: DatasetRecord, nowMs: number): boolean {
  const recent = recentMoves(state, datasetId, nowMs);
  const last = recent.at(-1);
  return recent.length >= pingPongMoves && last !== undefined && nowMs < last + pingPongBackoffMs;
}

/** Remembers a grant that takes the dataset where nobody ordered it. */
export function noteGrant(
  state: CoreState,
  record: DatasetRecord,
  node: NodeId,
  nowMs: number,
): void {
  const recent = recentMoves(state, record.datasetId, nowMs);
  const moved = record.generation > 0 && record.primary !== node;
  state.moves.set(record.datasetId, moved ? [...recent, nowMs].slice(-pingPongMoves) : recent);
}

function recentMoves(
  state: CoreState,
  datasetId: DatasetRecord["datasetId"],
  nowMs: number,
): readonly number[] {
  const all = state.moves.get(datasetId) ?? [];
  return all.filter((atMs) => atMs > nowMs - pingPongWindowMs);
}

/** A wish that ended may be renewed this long before what was copied for it is given up. */
const unwantedMsMax = 60_000;
/** A node whose pool was too small is asked again after this. */
const refusedMs = 60_000;

/** Why a move ended without a commit; for the log. */
export type AbortReason = "deleted" | "pool_full" | "ordered_elsewhere" | "cancelled" | "unwanted";

/**
 * Opens a move to whoever wants a local dataset first, if its data is elsewhere. Nobody is
 * disturbed by that: the holder is asked to give back only once the bulk is there.
 */
export function openMove(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  const record = state.records.get(datasetId);
  const live = record === undefined ? null : liveCopy(record);
  if (record === undefined || live === null || record.move !== null) return;
  // A silent source sends nothing, and its fallbacks are better left alone.
  if (state.sessionOf(live.node) === null) return;
  const asked = wants(state, record, nowMs).filter(({ kind }) => kind !== "rest");
  if (isNextAtHome(record, live.node, asked)) return;
  const want = asked.find(
    ({ node }) =>
      moveRefusal(record, node) === null && targetRefusal(state, datasetId, node, nowMs) === null,
  );
  if (want === undefined || backedOff(state, record, nowMs)) return;
  const move = state.newOp();
  const event = { kind: "move_opened", move, target: want.node, atMs: nowMs } as const;
  if (state.apply(datasetId, event) !== null) return;
  forgetCondition(state, want.node, datasetId);
  state.log("info", "move.opened", {
    datasetId,
    move,
    source: live.node,
    target: want.node,
    for: want.kind,
  });
}

/** Nobody has it and whoever comes first is where it lies: that one is served before it moves. */
function isNextAtHome(record: DatasetRecord, home: NodeId, asked: readonly Want[]): boolean {
  if (record.claim !== null || grantRefusal(record, home) !== null) return false;
  const ordered = asked.some(({ node, kind }) => node === home && kind === "order");
  return ordered || asked[0]?.node === home;
}

/** What the target said before belongs to an earlier attempt. */
function forgetCondition(state: CoreState, node: NodeId, datasetId: DatasetId): void {
  const observations = state.sessionOf(node)?.observations;
  const said = observations?.get(datasetId);
  if (said !== undefined) observations?.set(datasetId, { ...said, condition: null });
}

/** Ends an open move that has lost its reason, by the one switch of the record. */
export function abortMove(state: CoreState, datasetId: DatasetId, nowMs: number): void {
  const record = state.records.get(datasetId);
  const move = record?.move ?? null;
  if (record === undefined || move === null) {
    state.unwantedMoves.delete(datasetId);
    return;
  }
  const reason = abortReason(state, record, move, nowMs);
  if (reason === null) return;
  if (reason === "pool_full") refuseTarget(state, record, move, nowMs);
  state.apply(datasetId, { kind: "move_aborted", move: move.id });
  // Its fallback makes room for the next try, if the live copy is safe where it is.
  if (reason === "pool_full") state.apply(datasetId, { kind: "copy_expired", node: move.target });
  state.unwantedMoves.delete(datasetId);
  const { id, source, target, phase } = move;
  state.log("info", "move.aborted", { datasetId, move: id, source, target, phase, reason });
}

function abortReason(
  state: CoreState,
  record: DatasetRecord,
  move: Move,
  nowMs: number,
): AbortReason | null {
  if (record.deletion !== null) return "deleted";
  // Once it is sealed too: what has no room there has its way out at the source.
  if (fullPool(state, record.datasetId, move.target) !== null) return "pool_full";
  const orderedSince = isOrderedSince(record, move, nowMs);
  const calledBack = record.primary === move.source && record.orderOpen && orderedSince;
  if (calledBack && record.claim === null) return "cancelled";
  if (!isWanted(state, record, move.target, nowMs)) {
    if (record.primary !== move.target && orderedSince) return "ordered_elsewhere";
    // Nobody mounts what is sealed: the quickest way out is through.
    if (move.phase === "sealed") return null;
    if (othersWait(state, record, move, nowMs)) return "ordered_elsewhere";
    // Nobody keeps it from being sealed and leaving for a wish that has ended.
    const isLeaving = record.claim === null || record.claim.phase === "releasing";
    if (isLeaving && move.phase === "copied") return "unwanted";
    return isLongUnwanted(state, record, move, nowMs) ? "unwanted" : null;
  }
  state.unwantedMoves.delete(record.datasetId);
  const stuck = move.phase !== "sealed" && !servable(state, move.target, record);
  return stuck && othersWait(state, record, move, nowMs) ? "ordered_elsewhere" : null;
}

/**
 * An instant that is still to come was told by a clock that was set back since: an order of then is
 * older than a move of now, which each look would else end and open anew.
 */
function isOrderedSince({ orderedAtMs }: DatasetRecord, move: Move, nowMs: number): boolean {
  if (orderedAtMs > nowMs && move.openedAtMs <= nowMs) return false;
  return orderedAtMs >= move.openedAtMs;
}

/** By an order or a wish, whether or not the node answers at the moment. */
function isWanted(state: CoreState, record: DatasetRecord, node: NodeId, nowMs: number): boolean {
  if (record.orderOpen && record.primary === node) return true;
  return state
    .wishesFor(record.datasetId)
    .some((wish) => wish.node === node && wish.untilMs > nowMs);
}

function othersWait(
  state: CoreState,
  record: DatasetRecord,
  { target }: Move,
  nowMs: number,
): boolean {
  const holder = record.claim?.node ?? null;
  return wants(state, record, nowMs).some(
    ({ node, kind }) => kind !== "rest" && node !== target && node !== holder,
  );
}

function isLongUnwanted(
  state: CoreState,
  { datasetId }: DatasetRecord,
  { id }: Move,
  nowMs: number,
): boolean {
  const known = state.unwantedMoves.get(datasetId);
  if (known?.move === id) return nowMs >= known.sinceMs + unwantedMsMax;
  state.unwantedMoves.set(datasetId, { move: id, sinceMs: nowMs });
  return false;
}

/** What the target says if its pool has no room for the bulk, or for the rest. */
function fullPool(state: CoreState, datasetId: DatasetId, target: NodeId): Condition | null {
  const said = state.sessionOf(target)?.observations.get(datasetId)?.condition ?? null;
  return said?.code === "POOL_FULL" ? said : null;
}

function refuseTarget(
  state: CoreState,
  { datasetId }: DatasetRecord,
  { target }: Move,
  nowMs: number,
): void {
  const message = fullPool(state, datasetId, target)?.message ?? "";
  const refused = state.refusedTargets.get(datasetId) ?? new Map();
  refused.set(target, { message, untilMs: nowMs + refusedMs });
  state.refusedTargets.set(datasetId, refused);
}

/** What `node` said when it last had no room; null once that is long ago or it was ordered anew. */
export function targetRefusal(
  state: CoreState,
  datasetId: DatasetId,
  node: NodeId,
  nowMs: number,
): string | null {
  const refused = state.refusedTargets.get(datasetId)?.get(node);
  return refused !== undefined && nowMs < refused.untilMs ? refused.message : null;
}

/** Datasets that may go on although nobody has said anything. */
export function waitingMoves(state: CoreState, nowMs: number): readonly DatasetId[] {
  const waiting = [...state.records.values()]
    .filter((record) => record.move !== null || isHeldBack(state, record, nowMs))
    .map(({ datasetId }) => datasetId);
  for (const [datasetId, refused] of state.refusedTargets) {
    for (const [node, { untilMs }] of refused) if (untilMs <= nowMs) refused.delete(node);
    if (refused.size > 0) continue;
    state.refusedTargets.delete(datasetId);
    waiting.push(datasetId);
  }
  return waiting;
}

function isHeldBack(state: CoreState, record: DatasetRecord, nowMs: number): boolean {
  if (record.poolKind !== "local") return false;
  const before = state.moves.get(record.datasetId) ?? [];
  return before.length > 0 && !backedOff(state, record, nowMs);
}
