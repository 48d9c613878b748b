import type { DatabaseSync } from "node:sqlite";
import { unreachable } from "../../lib/assert.ts";
import { type DatasetId, type NodeId, parseNodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { Batch } from "./group-commit.ts";
import { parseRecord } from "../../protocol/record-schema.ts";
import { revisionConflict } from "./store-errors.ts";
import type { AuditEntry, AuditLimits, Start, StoreContents, StoreWrite } from "./store.ts";

type Row = Readonly<Record<string, unknown>>;

function number(row: Row | undefined, column: string): number {
  const value = row?.[column];
  return typeof value === "number" ? value : 0;
}

function textOrNull(row: Row | undefined, column: string): string | null {
  const value = row?.[column];
  return typeof value === "string" ? value : null;
}

function text(row: Row, column: string): string {
  return textOrNull(row, column) ?? "";
}

export type StoreRow = {
  readonly storeId: string;
  readonly revision: number;
  readonly machineId: string | null;
  readonly path: string | null;
  readonly restored: boolean;
  readonly copied: boolean;
};

/** The row that says which store this is; null in a database that was just made. */
export function readStoreRow(database: DatabaseSync): StoreRow | null {
  const row = database.prepare("SELECT * FROM store").get();
  if (row === undefined) return null;
  return {
    storeId: text(row, "store_id"),
    revision: number(row, "revision"),
    machineId: textOrNull(row, "machine_id"),
    path: textOrNull(row, "path"),
    restored: number(row, "restored") === 1,
    copied: number(row, "copied") === 1,
  };
}

export function writeStoreRow(database: DatabaseSync, row: StoreRow): void {
  database
    .prepare("INSERT OR REPLACE INTO store VALUES (1, ?, ?, ?, ?, ?, ?)")
    .run(
      row.storeId,
      row.revision,
      row.machineId,
      row.path,
      row.restored ? 1 : 0,
      row.copied ? 1 : 0,
    );
}

export function readStarts(database: DatabaseSync): readonly Start[] {
  return database
    .prepare("SELECT term, instance, first_revision FROM starts ORDER BY term")
    .all()
    .map((row) => ({
      term: number(row, "term"),
      instance: text(row, "instance"),
      firstRevision: number(row, "first_revision"),
    }));
}

export function writeStart(database: DatabaseSync, start: Start): void {
  database
    .prepare("INSERT INTO starts VALUES (?, ?, ?)")
    .run(start.term, start.instance, start.firstRevision);
}

/** Everything but who we are; each record is checked before anybody sees it. */
export function readContents(
  database: DatabaseSync,
): Pick<StoreContents, "records" | "nodes" | "meta"> {
  const records = new Map<DatasetId, DatasetRecord>();
  for (const row of database.prepare("SELECT dataset_id, record FROM datasets").iterate()) {
    const record = parseRecord(text(row, "dataset_id"), text(row, "record"));
    records.set(record.datasetId, record);
  }
  const nodes = new Map<NodeId, string>();
  for (const row of database.prepare("SELECT node_id, value FROM nodes").iterate()) {
    nodes.set(parseNodeId(text(row, "node_id")), text(row, "value"));
  }
  const meta = new Map<string, string>();
  for (const row of database.prepare("SELECT key, value FROM meta").iterate()) {
    meta.set(text(row, "key"), text(row, "value"));
  }
  return { records, nodes, meta };
}

export function readAudit(database: DatabaseSync, limit: number): readonly AuditEntry[] {
  return database
    .prepare("SELECT at_ms, text FROM audit ORDER BY seq DESC LIMIT ?")
    .all(limit)
    .map((row) => ({ atMs: number(row, "at_ms"), text: text(row, "text") }));
}

/** The statements of a commit, prepared once. */
export class Writer {
  readonly #sql: Readonly<Record<Statement, ReturnType<DatabaseSync["prepare"]>>>;
  readonly #limits: AuditLimits;

  constructor(database: DatabaseSync, limits: AuditLimits) {
    this.#limits = limits;
    this.#sql = {
      getRevision: database.prepare("SELECT revision FROM store"),
      setRevision: database.prepare("UPDATE store SET revision = ?"),
      recovered: database.prepare("UPDATE store SET restored = 0, copied = 0"),
      find: database.prepare("SELECT revision FROM datasets WHERE dataset_id = ?"),
      record: database.prepare("INSERT OR REPLACE INTO datasets VALUES (?, ?, ?)"),
      node: database.prepare("INSERT OR REPLACE INTO nodes VALUES (?, ?)"),
      meta: database.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)"),
      audit: database.prepare("INSERT INTO audit (at_ms, text) VALUES (?, ?)"),
      prune: database.prepare("DELETE FROM audit WHERE seq <= ? OR at_ms < ?"),
    };
  }

  /** Inside the caller's transaction; `REVISION_CONFLICT` means: roll this batch back. */
  write({ writes, revision }: Batch): void {
    const before = number(this.#sql.getRevision.get(), "revision");
    if (revision < before) throw revisionConflict("store", before, revision);
    for (const write of writes) this.#write(write);
    if (revision !== before) this.#sql.setRevision.run(revision);
  }

  #write(write: StoreWrite): void {
    switch (write.kind) {
      case "record":
        this.#record(write.record, write.expectedRevision);
        return;
      case "node":
        this.#sql.node.run(write.nodeId, write.value);
        return;
      case "audit": {
        const seq = Number(this.#sql.audit.run(write.atMs, write.text).lastInsertRowid);
        this.#sql.prune.run(seq - this.#limits.entriesMax, write.atMs - this.#limits.ageMsMax);
        return;
      }
      case "meta":
        this.#sql.meta.run(write.key, write.value);
        return;
      case "recovered":
        this.#sql.recovered.run();
        return;
      default:
        unreachable(write);
    }
  }

  #record(record: DatasetRecord, expected: number | null): void {
    const row = this.#sql.find.get(record.datasetId);
    const found = row === undefined ? null : number(row, "revision");
    if (found !== expected) {
      throw revisionConflict(`dataset ${record.datasetId}`, found, expected);
    }
    this.#sql.record.run(record.datasetId, record.revision, JSON.stringify(record));
  }
}

type Statement =
  | "getRevision"
  | "setRevision"
  | "recovered"
  | "find"
  | "record"
  | "node"
  | "meta"
  | "audit"
  | "prune";
