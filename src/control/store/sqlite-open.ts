import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FlockerError } from "../../lib/errors.ts";
import { makeDirectory } from "../../lib/system.ts";
import { checkSchema, migrate, pragma } from "./migrations.ts";
import { isBusy } from "./store-errors.ts";

/** A backup that runs while we start may hold a lock for as long as this. */
const startBusyMs = 5_000;

/** The real path of the database, its directory made. Two names of one file are one store. */
export async function settlePath(path: string): Promise<string> {
  await makeDirectory(dirname(path), 0o700);
  if (existsSync(path)) return realpath(path);
  return join(await realpath(dirname(path)), basename(path));
}

/**
 * Keeps a second control service away for as long as it is open: a lock that the kernel drops when
 * the process ends. It is on a file of its own, so that a backup can still read the database.
 */
export function openGuard(path: string): DatabaseSync {
  const guard = new DatabaseSync(`${path}.guard`, { timeout: 0 });
  try {
    // No journal: it must also work on a full disk.
    guard.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return guard;
  } catch (cause) {
    guard.close();
    if (!isBusy(cause)) throw cause;
    throw new FlockerError(
      "STORE_FAILED",
      `Another control service uses the store ${path}. Only one may run: stop that one first.`,
      { cause, details: { path } },
    );
  }
}

/**
 * Opens the database for writing, with every setting on which durability depends set and read
 * back, and the schema brought up to date. What a former process left unsynced is made durable
 * first; after an unclean end the whole database is looked through as well.
 */
export function openDatabase(path: string, unclean: boolean): DatabaseSync {
  if (existsSync(path)) {
    // Read-only: a newer schema is refused with the file untouched.
    const reader = new DatabaseSync(path, { readOnly: true, timeout: startBusyMs });
    try {
      checkSchema(reader, path);
    } finally {
      reader.close();
    }
  }
  const database = new DatabaseSync(path, { timeout: startBusyMs });
  try {
    configure(database, path);
    checkpointAll(database, path);
    if (unclean) checkIntegrity(database, path);
    migrate(database);
    database.exec("PRAGMA busy_timeout = 0");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

const settings = { synchronous: 2, foreign_keys: 1, wal_autocheckpoint: 0 };

/** `synchronous = FULL`: with NORMAL a power cut takes acknowledged commits. */
function configure(database: DatabaseSync, path: string): void {
  const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  for (const [name, value] of Object.entries(settings)) {
    database.exec(`PRAGMA ${name} = ${value}`);
    if (pragma(database, name) !== value || mode !== "wal") {
      throw new FlockerError(
        "STORE_FAILED",
        `The store ${path} cannot be made durable: SQLite refused ${name} = ${value} or WAL.`,
        { details: { path, name, mode } },
      );
    }
  }
}

/**
 * After a failed fsync the kernel shows pages that never reached the disk. Copying the WAL into
 * the database writes them again and syncs, so that what we read is also what stays.
 */
function checkpointAll(database: DatabaseSync, path: string): void {
  const row = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  if (row?.["busy"] !== 0) {
    throw new FlockerError(
      "STORE_FAILED",
      `Another program reads the store ${path} and does not let go. End it, then start again.`,
      { details: { path } },
    );
  }
}

function checkIntegrity(database: DatabaseSync, path: string): void {
  const said = database.prepare("PRAGMA integrity_check(1)").get()?.["integrity_check"];
  if (said === "ok") return;
  throw new FlockerError(
    "STORE_FAILED",
    `The store ${path} is damaged (${String(said)}). Restore a backup that ` +
      "`flocker control backup` made, then run `flocker control recover`.",
    { details: { path } },
  );
}
