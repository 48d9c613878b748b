import type { NodeId } from "../../domain/ids.ts";
import { type DatasetRecord, liveCopy } from "../../domain/record.ts";
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
 * (design 4.13).
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
  // The holder of a local one goes on undisturbed until the bulk is where it is wanted.
  if (poolKind === "local") return move?.phase === "copied" ? move.target : null;
  const other = wants(state, record, nowMs).find(
    ({ node, kind }) => node !== claim.node && kind !== "rest",
  );
  // A served order that rests elsewhere does not exist: granting a wish moved `primary` along.
  return other?.node ?? null;
}

/** Moves that nobody asked for anew back off (design 4.13); a dataset that stays never does. */
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
