import type { DatabaseSync } from "node:sqlite";
import { FlockerError } from "../../lib/errors.ts";

/** "FLKR": marks the database as ours in its header. */
export const applicationId = 0x464c4b52;

/**
 * Number n of this list leads from schema n - 1 to n and is never edited once released. A record
 * is JSON of `domain/record.ts` whole: the store compares its revision and looks at nothing else.
 */
const migrations: readonly string[] = [
  `CREATE TABLE store (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     store_id TEXT NOT NULL,
     revision INTEGER NOT NULL,
     machine_id TEXT,
     path TEXT,
     restored INTEGER NOT NULL CHECK (restored IN (0, 1)),
     copied INTEGER NOT NULL CHECK (copied IN (0, 1))
   ) STRICT;
   CREATE TABLE starts (
     term INTEGER PRIMARY KEY,
     instance TEXT NOT NULL UNIQUE,
     first_revision INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE datasets (
     dataset_id TEXT PRIMARY KEY,
     revision INTEGER NOT NULL,
     record TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE nodes (
     node_id TEXT PRIMARY KEY,
     value TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE meta (
     key TEXT PRIMARY KEY,
     value TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE audit (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     at_ms INTEGER NOT NULL,
     text TEXT NOT NULL
   ) STRICT;
   CREATE INDEX audit_at_ms ON audit (at_ms);`,
];

export const schemaVersion: number = migrations.length;

/** `PRAGMA name` of a database: one number. */
export function pragma(database: DatabaseSync, name: string): number {
  const value = Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  return typeof value === "number" ? value : Number.NaN;
}

/**
 * Refuses what this program must not write to, before anything is written: a newer schema
 * (`STORE_SCHEMA_NEWER`) and a database of somebody else (`CONFIGURATION_INVALID`).
 */
export function checkSchema(database: DatabaseSync, path: string): void {
  const found = pragma(database, "user_version");
  const ours = pragma(database, "application_id") === applicationId;
  const isEmpty = pragma(database, "schema_version") === 0;
  if (!ours && !isEmpty) {
    throw new FlockerError("CONFIGURATION_INVALID", `${path} is not a store of Flocker.`, {
      details: { path },
    });
  }
  if (found > schemaVersion) {
    throw new FlockerError(
      "STORE_SCHEMA_NEWER",
      `The store ${path} has schema ${found}; this program knows schemas up to ` +
        `${schemaVersion}. Run the newer program, or restore a backup of the older one. ` +
        "Nothing was changed.",
      { details: { path, found, known: schemaVersion } },
    );
  }
}

/** Brings the schema up to this program's, one transaction for each step. */
export function migrate(database: DatabaseSync): void {
  for (let at = pragma(database, "user_version"); at < schemaVersion; at += 1) {
    database.exec(
      `BEGIN IMMEDIATE; ${migrations[at] ?? ""}
       PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${at + 1}; COMMIT`,
    );
  }
}
