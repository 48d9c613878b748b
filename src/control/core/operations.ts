import type { BootId, DatasetId, NodeId } from "../../domain/ids.ts";
import { parseBootId } from "../../domain/ids.ts";
import { type DatasetRecord, liveCopy } from "../../domain/record.ts";
import { orderRefusal } from "../../domain/record-order.ts";
import { FlockerError } from "../../lib/errors.ts";
import { pump } from "./claims.ts";
import type { CoreState } from "./core-state.ts";
import { assertWritable } from "./create.ts";
import { conditionOf, endSession, setCondition } from "./hello.ts";
import { hasPool, waitingMoves } from "./moves.ts";
import { pushName } from "./push.ts";
import { endWhenHeard, lostText } from "./recovery.ts";
import type { NodeEntry } from "./state.ts";

/** `DATASET_NOT_FOUND` for an id that was never known; deleted ones are found. */
export function find(state: CoreState, datasetId: string): DatasetRecord {
  const record = [...state.records.values()].find((one) => one.datasetId === datasetId);
  if (record === undefined) throw new FlockerError("DATASET_NOT_FOUND", "Dataset not found.");
  return record;
}

/** A lasting order: the dataset should be on `primary`. */
export function orderDataset(
  state: CoreState,
  datasetId: string,
  primary: NodeId | null,
  nowMs: number,
): DatasetRecord {
  const record = find(state, datasetId);
  if (record.deletion !== null) {
    throw new FlockerError("DATASET_DELETED", "The dataset has been deleted.");
  }
  if (primary === null) return record;
  // One that is open is said anew: see below.
  const isServed = orderRefusal(record, primary) === "already" && !record.orderOpen;
  if (isServed) return record;
  assertWritable(state);
  const entry = state.nodes.get(primary);
  if (entry === undefined || entry.removed) {
    throw new FlockerError(
      "NODE_UNKNOWN",
      "The provided primary node is not part of the cluster.",
      { details: { primary } },
    );
  }
  if (!hasPool(entry, record)) {
    throw new FlockerError(
      "POOL_UNKNOWN",
      `Node ${primary} (${entry.host}) has no ${record.poolKind} pool named ${record.pool}, where ` +
        "this dataset is.",
    );
  }
  // Perhaps there is room by now.
  state.refusedTargets.delete(record.datasetId);
  const refused = state.apply(record.datasetId, { kind: "ordered", node: primary, atMs: nowMs });
  if (refused?.reason === "lost") {
    throw new FlockerError("READ_ONLY", lostText(record));
  }
  pump(state, record.datasetId, nowMs);
  return find(state, datasetId);
}

/** Follows the dataset's reclaim policy; idempotent. `purge` destroys without the trash. */
export function deleteDataset(
  state: CoreState,
  datasetId: string,
  purge: boolean,
  nowMs: number,
): DatasetRecord {
  const record = find(state, datasetId);
  if (record.deletion !== null) return record;
  assertWritable(state);
  const reclaim = purge ? "delete" : record.reclaim;
  state.apply(record.datasetId, { kind: "deletion_asked", atMs: nowMs, reclaim });
  state.audit(nowMs, { kind: "dataset_deleted", datasetId, reclaim });
  pushName(state, find(state, datasetId));
  pump(state, record.datasetId, nowMs);
  return find(state, datasetId);
}

function nodeEntry(state: CoreState, nodeId: NodeId): NodeEntry {
  const entry = state.nodes.get(nodeId);
  if (entry === undefined) throw new FlockerError("NODE_NOT_FOUND", `Node ${nodeId} not found.`);
  return entry;
}

/**
 * A node that only other agents name, while recovery waits for it. Its machine is not known: should
 * it come back, a person settles that as a clash of identities.
 */
function unheardEntry(state: CoreState, nodeId: NodeId): NodeEntry {
  if (!state.unheard.has(nodeId)) {
    throw new FlockerError("NODE_NOT_FOUND", `Node ${nodeId} not found.`);
  }
  return {
    nodeId,
    fingerprint: "never heard",
    bootId: parseBootId("00000000-0000-0000-0000-000000000000"),
    formerBootIds: [],
    session: 0,
    ackedRevision: 0,
    ackedStoreId: state.storeId,
    host: "unknown",
    pools: [],
    removed: false,
    declaredDead: true,
    clashWith: null,
    wentBack: false,
  };
}

/**
 * A person's word that a node is gone: its claims end as overridden, with the loss accepted.
 * Refused while its session answers, unless forced. Returns the datasets that it ended.
 */
export function declareDead(
  state: CoreState,
  nodeId: NodeId,
  force: boolean,
  nowMs: number,
): readonly DatasetId[] {
  const entry = state.nodes.get(nodeId) ?? unheardEntry(state, nodeId);
  if (state.mode.kind === "read_only") throw new FlockerError("READ_ONLY", state.mode.message);
  if (state.sessionOf(nodeId) !== null && !force) {
    throw new FlockerError(
      "NODE_ALIVE",
      `Node ${nodeId} (${entry.host}) still answers. Turn it off first; or declare it dead by ` +
        "force, which makes it cut its volumes off without flushing.",
    );
  }
  const ended = overrideAll(state, nodeId, nowMs);
  state.saveNode({ ...entry, declaredDead: true });
  const promoted = promotedBy(state, ended, nodeId);
  state.audit(nowMs, { kind: "node_declared_dead", nodeId, force, datasets: ended, promoted });
  state.log("warn", "node.declared_dead", { nodeId, force, datasets: ended.length });
  state.unheard.delete(nodeId);
  endWhenHeard(state, nowMs);
  for (const datasetId of state.records.keys()) pump(state, datasetId, nowMs);
  return ended;
}

/** A person said that it is gone, and it has not spoken since. */
export function isGivenUp({ declaredDead, removed }: NodeEntry): boolean {
  return declaredDead || removed;
}

/** Which fallbacks a person's word has made live. */
function promotedBy(
  state: CoreState,
  ended: readonly DatasetId[],
  nodeId: NodeId,
): readonly {
  readonly datasetId: DatasetId;
  readonly node: NodeId;
  readonly generation: number;
}[] {
  return ended.flatMap((datasetId) => {
    const record = state.records.get(datasetId);
    const live = record === undefined ? null : liveCopy(record);
    if (live === null || live.node === nodeId || live.settled) return [];
    return [{ datasetId, node: live.node, generation: live.generation }];
  });
}

function overrideAll(state: CoreState, nodeId: NodeId, nowMs: number): readonly DatasetId[] {
  const ended: DatasetId[] = [];
  const away = [...state.nodes.values()].filter(isGivenUp).map((entry) => entry.nodeId);
  for (const { datasetId, op } of state.records.values()) {
    if (op?.executor?.node === nodeId) {
      state.apply(datasetId, { kind: "op_vanished", op: op.id, atMs: nowMs });
    }
    const refused = state.apply(datasetId, {
      kind: "overridden",
      node: nodeId,
      away,
      op: state.newOp(),
      atMs: nowMs,
    });
    if (refused === null) ended.push(datasetId);
  }
  return ended;
}

/** Declares the node dead and revokes its certificate: the registry says who may speak. */
export function removeNode(state: CoreState, nodeId: NodeId, nowMs: number): NodeEntry {
  declareDead(state, nodeId, false, nowMs);
  const entry = { ...nodeEntry(state, nodeId), removed: true };
  state.saveNode(entry);
  state.audit(nowMs, { kind: "node_removed", nodeId });
  return entry;
}

/**
 * Settles a clash of identities. With a session that answers, the machine that is connected stays
 * the node; without one, the other machine becomes it and what the first one held is overridden.
 */
export function replaceNode(state: CoreState, nodeId: NodeId, nowMs: number): NodeEntry {
  const entry = nodeEntry(state, nodeId);
  if (entry.clashWith === null) {
    throw new FlockerError("NODE_NOT_CLASHING", `Node ${nodeId} has no clash to settle.`);
  }
  const session = state.sessionOf(nodeId);
  const ended = session === null ? overrideAll(state, nodeId, nowMs) : [];
  const settled: NodeEntry = {
    ...entry,
    clashWith: null,
    fingerprint: session === null ? entry.clashWith : entry.fingerprint,
    // The other machine has its own history of acknowledged revisions.
    ackedRevision: session === null ? 0 : entry.ackedRevision,
  };
  state.saveNode(settled);
  const promoted = promotedBy(state, ended, nodeId);
  const by = settled.fingerprint;
  state.audit(nowMs, { kind: "node_replaced", nodeId, by, datasets: ended, promoted });
  // A machine that was set back stays so until it was rebooted, whichever one it is.
  if (session !== null) setCondition(state, session, conditionOf(settled));
  for (const datasetId of state.records.keys()) pump(state, datasetId, nowMs);
  return settled;
}

/** Null when no node, or more than one, says that it runs this boot. */
export function nodeByEra(state: CoreState, era: BootId): NodeId | null {
  const found = [...state.nodes.values()].filter(({ bootId }) => bootId === era);
  return found.length === 1 ? (found[0]?.nodeId ?? null) : null;
}

/** Time passes: expired wishes, creations whose sessions did not store the name, vanished ops. */
export function tick(state: CoreState, nowMs: number): void {
  for (const [datasetId, wishes] of state.wishes) {
    const before = wishes.size;
    for (const wish of wishes.values()) {
      if (wish.untilMs <= nowMs) state.dropWish(datasetId, wish.node);
    }
    if (wishes.size !== before) pump(state, datasetId, nowMs);
  }
  for (const pending of state.pendingCreates.values()) {
    if (pending.untilMs > nowMs) continue;
    for (const connection of pending.waitingFor) {
      const session = state.sessions.get(connection);
      if (session !== undefined) endSession(state, session, "name_not_stored");
    }
    state.settleCreate(pending);
  }
  for (const record of state.records.values()) {
    const busy = record.op !== null || record.deletion?.phase === "deleting";
    const waits = record.claim === null && state.moves.has(record.datasetId);
    if (busy || waits) pump(state, record.datasetId, nowMs);
  }
  for (const datasetId of waitingMoves(state, nowMs)) pump(state, datasetId, nowMs);
}
