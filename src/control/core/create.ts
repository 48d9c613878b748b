import type { DatasetId, NodeId } from "../../domain/ids.ts";
import { parseDatasetId } from "../../domain/ids.ts";
import { newRecord } from "../../domain/new-record.ts";
import { decideSize, type Pool } from "../../domain/pool.ts";
import {
  anonymousName,
  type DatasetRecord,
  type FileSystem,
  nameOf,
  type Reclaim,
} from "../../domain/record.ts";
import { FlockerError } from "../../lib/errors.ts";
import { pump } from "./claims.ts";
import type { CoreState } from "./core-state.ts";
import { pushName } from "./push.ts";
import type { NodeEntry } from "./state.ts";

/** A dataset as somebody asks for it; null is "as the pool and the service have it". */
export type WantedDataset = {
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

/**
 * Creates the record of a dataset. The caller answers its client after the `created` output: then
 * the record is durable and every live session has stored the name (or was closed).
 */
export function createDataset(
  state: CoreState,
  wanted: WantedDataset,
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
  const pool = poolFor(state, entry, wanted.pool ?? "default");
  const fileSystem = fileSystemFor(pool, wanted.fileSystem);
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

function poolFor(state: CoreState, entry: NodeEntry, name: string): Pool {
  const own = entry.pools.find((one) => one.name === name);
  if (own !== undefined) return own;
  const elsewhere = state.pool(name);
  // The first volume is made on the primary's own disks.
  if (elsewhere?.capabilities.kind === "local") {
    throw new FlockerError(
      "POOL_UNKNOWN",
      `Node ${entry.nodeId} (${entry.host}) has no pool named ${name}, which other nodes have on ` +
        `their own disks; its pools are: ${poolNames([entry])}.`,
    );
  }
  if (elsewhere !== null) return elsewhere;
  throw new FlockerError(
    "POOL_UNKNOWN",
    `No node has a pool named ${name}; the pools are: ${poolNames([...state.nodes.values()])}.`,
  );
}

function poolNames(entries: readonly NodeEntry[]): string {
  const names = entries.flatMap(({ pools }) => pools.map((pool) => pool.name));
  return [...new Set(names)].sort().join(", ") || "none";
}

/** A local pool has a file system of its own: none is made in its volumes. */
function fileSystemFor(pool: Pool, wanted: FileSystem | null): FileSystem | null {
  if (pool.capabilities.kind === "attachable") return wanted ?? "ext4";
  if (wanted === null) return null;
  throw new FlockerError(
    "INVALID_ARGUMENT",
    `Pool ${pool.name} (${pool.driver}) keeps data in its own file system: leave the option fs ` +
      `out, or take another pool for ${wanted}.`,
  );
}

/** `created` follows once each live session has stored the name, or was closed for not doing so. */
export function awaitNames(state: CoreState, record: DatasetRecord, nowMs: number): void {
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

/** `INVALID_ARGUMENT` for what can be no name, `NAME_IN_USE` for that of a live dataset. */
export function assertNameFree(state: CoreState, name: string): void {
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

/** `READ_ONLY`, with the way out, while the store is in doubt or is collected anew. */
export function assertWritable(state: CoreState): void {
  if (state.mode.kind === "normal") return;
  throw new FlockerError("READ_ONLY", state.mode.message);
}
