import { link, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { syncDirectory } from "../../lib/durable-file.ts";
import { FlockerError } from "../../lib/errors.ts";
import { systemReason } from "../../lib/system.ts";
import { checkSchema } from "./migrations.ts";
import { readStoreRow, writeStoreRow } from "./sqlite-rows.ts";
import { isFull, storeFailure } from "./store-errors.ts";

const busyMs = 5_000;

/**
 * Writes a copy of the store at `path` to `target` (`VACUUM INTO`), also while a control service
 * uses it, durable when resolved. Inside it is marked `restored` and bound to no machine: a
 * control service that is started on it grants nothing before `flocker control recover`.
 * A `target` that exists is refused (`INVALID_ARGUMENT`), and nothing is left behind by a failure.
 */
export async function backupSqliteStore(path: string, target: string): Promise<void> {
  const partial = `${target}.partial-${process.pid}`;
  await rm(partial, { force: true }).catch(() => {}); // Making it says what is wrong there.
  await makeEmpty(partial, target);
  try {
    copyInto(path, partial);
    markRestored(partial);
    const file = await open(partial, "r+");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await linkNew(partial, target);
    await syncDirectory(dirname(target));
  } catch (error) {
    // The store is only read: what is full is the disk of the copy.
    throw isFull(error) ? unwritable(target, "its disk is full", error) : storeFailure(path, error);
  } finally {
    await rm(partial, { force: true });
  }
}

/** `VACUUM INTO` takes an empty file, and SQLite does not say why it cannot make one. */
async function makeEmpty(partial: string, target: string): Promise<void> {
  try {
    await (await open(partial, "wx", 0o600)).close();
  } catch (cause) {
    throw unwritable(target, systemReason(cause), cause);
  }
}

function unwritable(target: string, why: string, cause: unknown): FlockerError {
  const message = `${target} cannot be written: ${why}.`;
  return new FlockerError("INVALID_ARGUMENT", message, { cause, details: { target } });
}

function copyInto(path: string, partial: string): void {
  const source = new DatabaseSync(path, { readOnly: true, timeout: busyMs });
  try {
    checkSchema(source, path);
    source.prepare("VACUUM INTO ?").run(partial);
  } finally {
    source.close();
  }
}

function markRestored(partial: string): void {
  const copy = new DatabaseSync(partial);
  try {
    const row = readStoreRow(copy);
    if (row === null) {
      throw new FlockerError("STORE_FAILED", "The store was never used: nothing to back up.");
    }
    writeStoreRow(copy, { ...row, restored: true, machineId: null, path: null });
  } finally {
    copy.close();
  }
}

/** link(2) instead of rename(2): it never replaces what is there. */
async function linkNew(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
    throw new FlockerError("INVALID_ARGUMENT", `${target} exists: name a file that does not.`, {
      cause,
      details: { target },
    });
  }
}
