import { FlockerError } from "../../lib/errors.ts";

export function revisionConflict(
  what: string,
  found: number | null,
  expected: number | null,
): FlockerError {
  return new FlockerError(
    "REVISION_CONFLICT",
    `The ${what} is at revision ${found ?? "none"}, not ${expected ?? "none"}.`,
    { details: { found, expected } },
  );
}

export function storeClosed(): FlockerError {
  return new FlockerError("STORE_FAILED", "The store is closed.");
}

/** SQLite's result codes that decide what happens next. (https://sqlite.org/rescode.html) */
const sqlite = { busy: 5, locked: 6, corrupt: 11, full: 13, notADatabase: 26, shmSize: 4874 };

export function sqliteCode(error: unknown): number | null {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode
    : null;
}

/** No space left: the transaction was rolled back and nothing was written. */
export function isFull(error: unknown): boolean {
  const code = sqliteCode(error);
  if (code === sqlite.full || code === sqlite.shmSize) return true;
  return error instanceof Error && "code" in error && error.code === "ENOSPC";
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== null && ((code & 0xff) === sqlite.busy || (code & 0xff) === sqlite.locked);
}

export function storeFull(path: string, cause?: unknown): FlockerError {
  return new FlockerError(
    "STORE_FULL",
    `The disk of the control service's store (${path}) is full: nothing was changed. ` +
      "Free space there; releases are still recorded.",
    { cause, details: { path } },
  );
}

/** What a failure of SQLite means for a person; errors of ours pass unchanged. */
export function storeFailure(path: string, cause: unknown): FlockerError {
  if (cause instanceof FlockerError) return cause;
  const code = sqliteCode(cause);
  const primary = code === null ? null : code & 0xff;
  const said = cause instanceof Error ? cause.message : String(cause);
  if (isFull(cause)) return storeFull(path, cause);
  const what =
    primary === sqlite.corrupt || primary === sqlite.notADatabase
      ? `The store ${path} is damaged or is no database (${said}). Restore a backup that ` +
        "`flocker control backup` made, then run `flocker control recover`."
      : `The store ${path} failed: ${said}. The control service must be started again.`;
  return new FlockerError("STORE_FAILED", what, { cause, details: { path, sqlite: code } });
}
