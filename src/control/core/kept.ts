import { assert } from "../../lib/assert.ts";
import { type NodeId, parseDatasetId } from "../../domain/ids.ts";
import { newRecord } from "../../domain/new-record.ts";
import { type DatasetRecord, liveCopy, nameOf } from "../../domain/record.ts";
import { isRestorable } from "../../domain/record-deletion.ts";
import { FlockerError, hasCode } from "../../lib/errors.ts";
import { pump } from "./claims.ts";
import type { CoreState } from "./core-state.ts";
import { assertNameFree, assertWritable, awaitNames } from "./create.ts";
import { find } from "./operations.ts";

/** Time passes: what was kept long enough goes. Nothing goes while the store is in doubt. */
export function tickKept(state: CoreState, nowMs: number): void {
  const { retention } = state;
  retention.count(nowMs);
  if (state.mode.kind !== "normal") return;
  const kept = new Set<string>();
  for (const record of state.records.values()) {
    tickTrash(state, record, { kept, nowMs });
    tickFallbacks(state, record, { kept, nowMs });
  }
  retention.keepOnly(kept);
  const book = retention.unsaved();
  if (book !== null) state.writeUptime(book);
}

type Tick = { readonly kept: Set<string>; readonly nowMs: number };

function tickTrash(state: CoreState, record: DatasetRecord, { kept, nowMs }: Tick): void {
  const { datasetId, deletion } = record;
  if (deletion?.phase !== "trashed") return;
  kept.add(trashKey(record));
  if (purgedAtMs(state, record, nowMs) > nowMs) return;
  if (state.apply(datasetId, { kind: "purge_asked" }) !== null) return;
  state.audit(nowMs, { kind: "dataset_purged", datasetId, by: "retention" });
  pump(state, datasetId, nowMs);
}

function tickFallbacks(state: CoreState, record: DatasetRecord, { kept, nowMs }: Tick): void {
  if (record.move !== null || liveCopy(record)?.settled !== true) return;
  const { datasetId } = record;
  const { fallbackMs } = state.retention.times;
  for (const { node, role, sinceMs, discarding } of record.copies) {
    if (role !== "fallback" || discarding) continue;
    const key = `copy:${datasetId}:${node}:${sinceMs}`;
    kept.add(key);
    const countedMs = state.retention.remainingMs(key, fallbackMs);
    if (countedMs > 0 || nowMs < sinceMs + fallbackMs) continue;
    if (state.apply(datasetId, { kind: "copy_expired", node }) !== null) continue;
    state.log("info", "copy.expired", { datasetId, nodeId: node, sinceMs });
    pump(state, datasetId, nowMs);
  }
}

function trashKey({ datasetId, deletion }: DatasetRecord): string {
  return `trash:${datasetId}:${deletion?.atMs}`;
}

/** When what is in the trash is destroyed, at the earliest. */
export function purgedAtMs(state: CoreState, record: DatasetRecord, nowMs: number): number {
  const { deletion } = record;
  assert(deletion?.phase === "trashed", "only what is in the trash is purged by itself");
  const { trashMs } = state.retention.times;
  const countedMs = state.retention.remainingMs(trashKey(record), trashMs);
  return Math.max(deletion.atMs + trashMs, nowMs + countedMs);
}

/**
 * Out of the trash, from what was retained, or before it came to either; under its own name or
 * `as`. Answered as a creation is.
 */
export function restoreDataset(
  state: CoreState,
  datasetId: string,
  as: string | null,
  nowMs: number,
): DatasetRecord {
  assertWritable(state);
  const record = find(state, datasetId);
  if (!isRestorable(record)) throw notInTrash(record);
  const name = as ?? nameOf(record);
  if (name !== null) assertRestorable(state, record, name);
  const metadata = name === null ? record.metadata : { ...record.metadata, name };
  state.apply(record.datasetId, { kind: "restored", metadata });
  state.audit(nowMs, { kind: "dataset_restored", datasetId, name });
  awaitNames(state, find(state, datasetId), nowMs);
  pump(state, record.datasetId, nowMs);
  return find(state, datasetId);
}

function assertRestorable(state: CoreState, { datasetId }: DatasetRecord, name: string): void {
  try {
    assertNameFree(state, name);
  } catch (error) {
    if (!(error instanceof FlockerError) || !hasCode(error, "NAME_IN_USE")) throw error;
    throw new FlockerError(
      "NAME_IN_USE",
      `${error.message} Restore it under another one: flockerctl trash restore ${datasetId} ` +
        "--as <name>",
      { details: error.details },
    );
  }
}

/** What is in the trash, or was retained, is destroyed now. Asked twice, it is asked once. */
export function purgeDataset(state: CoreState, datasetId: string, nowMs: number): DatasetRecord {
  const record = find(state, datasetId);
  const { deletion } = record;
  if (deletion?.phase === "gone") return record;
  if (deletion?.phase === "deleting" && deletion.reclaim === "delete") return record;
  assertWritable(state);
  if (state.apply(record.datasetId, { kind: "purge_asked" }) !== null) throw notInTrash(record);
  state.audit(nowMs, { kind: "dataset_purged", datasetId, by: "person" });
  pump(state, record.datasetId, nowMs);
  return find(state, datasetId);
}

function notInTrash(record: DatasetRecord): FlockerError {
  const { datasetId, deletion, op } = record;
  const why =
    deletion === null
      ? "it was not deleted"
      : {
          deleting:
            op?.kind === "destroy"
              ? "it is being destroyed"
              : "it is still being deleted; its condition says what that waits for",
          trashed: "it is in the trash",
          retained: "its volume was retained, for a person to look after",
          gone: "its volume was destroyed",
        }[deletion.phase];
  return new FlockerError("NOT_IN_TRASH", `Dataset ${datasetId} is not in the trash: ${why}.`, {
    details: { datasetId, phase: deletion?.phase ?? null },
  });
}

export type Rescue = { readonly datasetId: string; readonly node: NodeId; readonly name: string };

/** A new dataset, made of a copy that was put aside; the copy itself stays. */
export function rescueCopy(state: CoreState, wanted: Rescue, nowMs: number): DatasetRecord {
  assertWritable(state);
  const { node, name } = wanted;
  const lost = find(state, wanted.datasetId);
  assertRescuable(state, lost, node);
  assertNameFree(state, name);
  const saved = state.save(
    newRecord({
      datasetId: parseDatasetId(state.newId()),
      metadata: { ...lost.metadata, name },
      maximumSizeBytes: lost.maximumSizeBytes,
      sizeBytes: lost.volume.kind === "exists" ? lost.volume.sizeBytes : lost.sizeBytes,
      notice: `Made of the copy of dataset ${lost.datasetId} on node ${node}.`,
      pool: lost.pool,
      poolKind: lost.poolKind,
      fileSystem: lost.fileSystem,
      from: { datasetId: lost.datasetId, node },
      reclaim: lost.reclaim,
      primary: node,
      atMs: nowMs,
      lineage: state.newOp(),
    }),
    null,
  );
  const { datasetId } = saved;
  state.audit(nowMs, { kind: "copy_rescued", from: lost.datasetId, node, datasetId, name });
  awaitNames(state, saved, nowMs);
  pump(state, datasetId, nowMs);
  return saved;
}

function assertRescuable(state: CoreState, record: DatasetRecord, node: NodeId): void {
  const { datasetId } = record;
  const kept = record.copies.filter(({ role }) => role === "diverged" || role === "fallback");
  const host = state.nodes.get(node)?.host ?? "unknown";
  if (!kept.some((one) => one.node === node && !one.discarding)) {
    const nodes = [...new Set(kept.map((one) => one.node))].sort().join(", ") || "none";
    throw new FlockerError(
      "COPY_NOT_FOUND",
      `Node ${node} (${host}) has no diverged or fallback copy of dataset ${datasetId}; nodes that ` +
        `have one: ${nodes}.`,
      { details: { datasetId, node } },
    );
  }
  if (!record.superseded.includes(node)) return;
  throw new FlockerError(
    "DATASET_IN_USE",
    `Node ${node} (${host}) has not yet said that it stopped using its copy of ${datasetId}. Start ` +
      "its agent, or reboot it.",
  );
}
