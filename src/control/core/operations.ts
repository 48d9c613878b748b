import { condition } from "../../domain/condition.ts";
import type { BootId, DatasetId, NodeId } from "../../domain/ids.ts";
import { parseBootId, parseDatasetId } from "../../domain/ids.ts";
import { newRecord } from "../../domain/new-record.ts";
import { decideSize } from "../../domain/pool.ts";
import { type DatasetRecord, type FileSystem, nameOf, type Reclaim } from "../../domain/record.ts";
import { FlockerError } from "../../lib/errors.ts";
import { pump } from "./claims.ts";
import type { CoreState } from "./core-state.ts";
import { endSession, setCondition } from "./hello.ts";
import { pushName } from "./push.ts";
import { endWhenHeard } from "./recovery.ts";
import type { NodeEntry } from "./state.ts";

export type CreateDataset = {
  readonly datasetId: DatasetId | null;
  readonly primary: NodeId;
  readonly metadata: Readonly<Record<string, string>>;
  readonly maximumSizeBytes: number | null;
  readonly pool: string | null;
  readonly fileSystem: FileSystem | null;
  readonly reclaim: Reclaim | null;
};

const namesStoredMsMax = 2_000;
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
const anonymousName = /^[0-9a-f]{64}$/;

/**
 * Creates the record of a dataset. The caller answers its client after the `created` output: then
 * the record is durable and every live session has stored the name (or was closed).
 */
export function createDataset(
  state: CoreState,
  wanted: CreateDataset,
  nowMs: number,
): DatasetRecord {
  assertWritable(state);
  const { metadata } = wanted;
  if (wanted.datasetId !== null && state.records.has(wanted.datasetId)) {
    throw new FlockerError("DATASET_ID_IN_USE", "The provided dataset_id is already in use.");
  }
  const entry = state.nodes.get(wanted.primary);
  if (entry === undefined || entry.removed) {
    throw new FlockerError(
      "NODE_UNKNOWN",
      "The provided primary node is not part of the cluster.",
      { details: { primary: wanted.primary } },
    );
  }
  const name = metadata["name"] ?? null;
  if (name !== null) assertNameFree(state, name);
  const poolName = wanted.pool ?? "default";
  const pool = entry.pools.find((one) => one.name === poolName) ?? state.pool(poolName);
  if (pool === null) {
    const pools = [...state.nodes.values()].flatMap((node) => node.pools);
    const known = [...new Set(pools.map((one) => one.name))].sort();
    throw new FlockerError(
      "POOL_UNKNOWN",
      `No node has a pool named ${poolName}; the pools are: ${known.join(", ") || "none"}.`,
    );
  }
  const fileSystem = wanted.fileSystem ?? "ext4";
  const { sizeBytes, notice } = decideSize(wanted.maximumSizeBytes, pool, fileSystem);
  const inTrash = name !== null && isInTrash(state, name);
  const saved = state.save(
    newRecord({
      datasetId: wanted.datasetId ?? parseDatasetId(state.newId()),
      metadata,
      maximumSizeBytes: wanted.maximumSizeBytes,
      sizeBytes,
      notice: [notice, inTrash ? trashNotice(name) : null].filter(Boolean).join(" ") || null,
      pool: pool.name,
      poolKind: pool.capabilities.kind,
      fileSystem,
      reclaim: wanted.reclaim ?? (name !== null && anonymousName.test(name) ? "delete" : "trash"),
      primary: wanted.primary,
      atMs: nowMs,
      lineage: state.newOp(),
    }),
    null,
  );
  state.log("info", "dataset.created", { datasetId: saved.datasetId, name, pool: pool.name });
  awaitNames(state, saved, nowMs);
  pump(state, saved.datasetId, nowMs);
  return saved;
}

function awaitNames(state: CoreState, record: DatasetRecord, nowMs: number): void {
  const waitingFor = new Set(pushName(state, record).map(({ connection }) => connection));
  if (waitingFor.size === 0) {
    state.output({ kind: "created", datasetId: record.datasetId });
    return;
  }
  state.pendingCreates.set(record.datasetId, {
    datasetId: record.datasetId,
    revision: record.revision,
    waitingFor,
    untilMs: nowMs + namesStoredMsMax,
    answers: [],
  });
}

function assertNameFree(state: CoreState, name: string): void {
  if (!namePattern.test(name)) {
    throw new FlockerError(
      "INVALID_ARGUMENT",
      `The name ${JSON.stringify(name.slice(0, 140))} is not valid: 1 to 128 letters, digits, ` +
        "`_`, `.` or `-`, beginning with a letter or digit.",
    );
  }
  const holder = state.names.get(name);
  if (holder !== undefined) {
    throw new FlockerError("NAME_IN_USE", `The name ${name} is already used by ${holder}.`, {
      details: { name, datasetId: holder },
    });
  }
}

function isInTrash(state: CoreState, name: string): boolean {
  return [...state.records.values()].some(
    (record) => record.deletion?.phase === "trashed" && nameOf(record) === name,
  );
}

function trashNotice(name: string): string {
  return `An earlier dataset named ${name} is in the trash; this one is new and empty.`;
}

function assertWritable(state: CoreState): void {
  if (state.mode.kind === "normal") return;
  throw new FlockerError("READ_ONLY", state.mode.message);
}

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
  if (primary === null || (primary === record.primary && !mustMove(record))) return record;
  assertWritable(state);
  const entry = state.nodes.get(primary);
  if (entry === undefined || entry.removed) {
    throw new FlockerError(
      "NODE_UNKNOWN",
      "The provided primary node is not part of the cluster.",
      { details: { primary } },
    );
  }
  if (!entry.pools.some(({ name }) => name === record.pool)) {
    throw new FlockerError(
      "POOL_UNKNOWN",
      `Node ${primary} (${entry.host}) has no pool named ${record.pool}, where this dataset is.`,
    );
  }
  const refused = state.apply(record.datasetId, { kind: "ordered", node: primary, atMs: nowMs });
  if (refused?.reason === "lost") {
    throw new FlockerError("READ_ONLY", `The record of dataset ${datasetId} was lost.`);
  }
  pump(state, record.datasetId, nowMs);
  return find(state, datasetId);
}

function mustMove(record: DatasetRecord): boolean {
  return record.claim !== null && record.claim.node !== record.primary;
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
  state.audit(nowMs, { kind: "node_declared_dead", nodeId, force, datasets: ended });
  state.log("warn", "node.declared_dead", { nodeId, force, datasets: ended.length });
  state.unheard.delete(nodeId);
  endWhenHeard(state, nowMs);
  for (const datasetId of state.records.keys()) pump(state, datasetId, nowMs);
  return ended;
}

function overrideAll(state: CoreState, nodeId: NodeId, nowMs: number): readonly DatasetId[] {
  const ended: DatasetId[] = [];
  for (const { datasetId, op } of state.records.values()) {
    if (op?.executor?.node === nodeId) {
      state.apply(datasetId, { kind: "op_vanished", op: op.id, atMs: nowMs });
    }
    const refused = state.apply(datasetId, {
      kind: "overridden",
      node: nodeId,
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
  if (session === null) overrideAll(state, nodeId, nowMs);
  const settled: NodeEntry = {
    ...entry,
    clashWith: null,
    fingerprint: session === null ? entry.clashWith : entry.fingerprint,
    // The other machine has its own history of acknowledged revisions.
    ackedRevision: session === null ? 0 : entry.ackedRevision,
  };
  state.saveNode(settled);
  state.audit(nowMs, { kind: "node_replaced", nodeId, by: settled.fingerprint });
  if (session !== null) setCondition(state, session, null);
  for (const datasetId of state.records.keys()) pump(state, datasetId, nowMs);
  return settled;
}

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
}

/** Shown for a dataset whose node is silent or dead. */
export function silentNode(entry: NodeEntry): ReturnType<typeof condition> {
  return condition(
    "WAITING_FOR_NODE",
    `Node ${entry.nodeId} (${entry.host}) is not connected. Start it, or if it is gone for good: ` +
      `flockerctl node declare-dead ${entry.nodeId}`,
  );
}
