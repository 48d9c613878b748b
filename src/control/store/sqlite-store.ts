import type { DatabaseSync } from "node:sqlite";
import { FlockerError, hasCode } from "../../lib/errors.ts";
import { type Logger, silentLogger } from "../../lib/log.ts";
import { Ballast, ballastBytesDefault } from "./ballast.ts";
import { type Batch, GroupCommit } from "./group-commit.ts";
import { isBusy, isFull, storeClosed, storeFailure, storeFull } from "./store-errors.ts";
import {
  type StoreRow,
  Writer,
  readAudit,
  readContents,
  readStarts,
  readStoreRow,
  writeStart,
  writeStoreRow,
} from "./sqlite-rows.ts";
import { openDatabase, openGuard, settlePath } from "./sqlite-open.ts";
import {
  type AuditEntry,
  type AuditLimits,
  type CommitOptions,
  type OpenedStore,
  type Start,
  type Store,
  type StoreWrite,
  auditLimits,
} from "./store.ts";
import { type Witness, isBehind, readWitness, writeWitness } from "./witness.ts";

export type SqliteStoreOptions = {
  readonly path: string;
  /** Of this machine: the store is bound to it and to its path. */
  readonly machineId: string;
  readonly newId: () => string;
  /** A person's word that a copied store is to be used here. */
  readonly acceptCopy?: boolean;
  readonly ballastBytes?: number;
  readonly auditLimits?: AuditLimits;
  readonly log?: Logger;
};

/**
 * Opens the database and a start: the next term with a new instance id, durable when resolved.
 * `STORE_FAILED` (in use by another process, damaged), `STORE_SCHEMA_NEWER`, `STORE_COPIED`,
 * `STORE_FULL`, `CONFIGURATION_INVALID` (somebody else's database).
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<OpenedStore> {
  const path = await settlePath(options.path);
  const resources = new DisposableStack();
  try {
    const guard = resources.adopt(openGuard(path), (database) => database.close());
    const witness = await readWitness(path);
    const ballast = new Ballast(path, options.ballastBytes ?? ballastBytesDefault);
    const open = (): DatabaseSync => openDatabase(path, witness?.clean !== true);
    const database = resources.adopt(withBallast(ballast, open), (opened) => opened.close());
    const opened = { ...options, path, database, witness };
    const row = settleRow(opened);
    const start = withBallast(ballast, () => begin(opened, row));
    const mark = (clean: boolean, revision: number): Promise<void> =>
      writeWitness(path, {
        storeId: row.storeId,
        term: start.term,
        instance: start.instance,
        revision,
        machineId: options.machineId,
        path,
        clean,
      });
    try {
      await mark(false, row.revision);
    } catch (error) {
      if (!isFull(error)) throw error;
      ballast.free();
      await mark(false, row.revision);
    }
    ballast.hold();
    const contents = {
      ...readContents(database),
      storeId: row.storeId,
      revision: row.revision,
      restored: row.restored,
      copied: row.copied,
      starts: readStarts(database),
      term: start.term,
      instance: start.instance,
    };
    resources.move();
    const store = new SqliteStore({ ...options, path, database, guard, ballast, mark });
    return { store, contents };
  } catch (error) {
    resources.dispose();
    throw storeFailure(path, error);
  }
}

function withBallast<T>(ballast: Ballast, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isFull(error)) throw error;
    ballast.free();
    return work();
  }
}

type Opening = SqliteStoreOptions & {
  readonly database: DatabaseSync;
  readonly witness: Witness | null;
};

/** Who this store is from now on; `STORE_COPIED` when it belongs elsewhere. */
function settleRow(opening: Opening): StoreRow {
  const { database, witness, machineId, path } = opening;
  const found = readStoreRow(database);
  // No database but a witness of one: it was lost, which is the furthest way back.
  if (found === null) {
    const storeId = opening.newId();
    return { storeId, revision: 0, machineId, path, restored: witness !== null, copied: false };
  }
  const isBound = found.machineId !== null;
  const isElsewhere = isBound && (found.machineId !== machineId || found.path !== path);
  if (isElsewhere && opening.acceptCopy !== true) {
    throw new FlockerError(
      "STORE_COPIED",
      `The store ${path} is a copy: it was made for ${found.path ?? "?"} on the machine ` +
        `${found.machineId ?? "?"}, not for this machine (${machineId}). If the control service ` +
        "there will never run again, start with --accept-copy and then run " +
        "`flocker control recover`.",
      { details: { path, boundPath: found.path, boundMachineId: found.machineId, machineId } },
    );
  }
  const last = readStarts(database).at(-1) ?? null;
  const behind = witness !== null && isBehind({ ...found, last }, witness);
  return {
    ...found,
    machineId,
    path,
    restored: found.restored || behind,
    copied: found.copied || isElsewhere,
  };
}

function begin({ database, witness, newId }: Opening, row: StoreRow): Start {
  const last = readStarts(database).at(-1)?.term ?? 0;
  const start: Start = {
    term: Math.max(last, witness?.term ?? 0) + 1,
    instance: newId(),
    firstRevision: row.revision,
  };
  transaction(database, () => {
    writeStoreRow(database, row);
    writeStart(database, start);
  });
  return start;
}

function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    // Some failures (a full disk) have rolled back by themselves.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

type Parts = {
  readonly path: string;
  readonly database: DatabaseSync;
  readonly guard: DatabaseSync;
  readonly ballast: Ballast;
  readonly mark: (clean: boolean, revision: number) => Promise<void>;
  readonly auditLimits?: AuditLimits;
  readonly log?: Logger;
};

/** Groups between two copies of the WAL into the database. */
const groupsPerCheckpoint = 256;

class SqliteStore implements Store {
  readonly #parts: Parts;
  readonly #log: Logger;
  readonly #writer: Writer;
  readonly #queue = new GroupCommit((group) => this.#apply(group));
  #groups = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#log = parts.log ?? silentLogger;
    this.#writer = new Writer(parts.database, parts.auditLimits ?? auditLimits);
  }

  commit(
    writes: readonly StoreWrite[],
    revision: number,
    options: CommitOptions = {},
  ): Promise<void> {
    return this.#queue.add({ writes, revision, urgent: options.urgent ?? false });
  }

  isFull(): boolean {
    return !this.#parts.ballast.hold();
  }

  audit(limit: number): Promise<readonly AuditEntry[]> {
    return Promise.resolve(readAudit(this.#parts.database, limit));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { database, guard, mark } = this.#parts;
    this.#queue.flush();
    const failed = this.#queue.failed;
    this.#queue.fail(storeClosed());
    if (!database.isOpen) return;
    try {
      // After a failure the mark stays unclean: the next start looks through the database.
      const revision = failed ? null : (readStoreRow(database)?.revision ?? 0);
      database.close();
      if (revision !== null) await mark(true, revision);
    } finally {
      guard.close();
    }
  }

  /** A failed fsync throws here, and the queue refuses everything from then on. */
  #apply(group: readonly Batch[]): readonly (FlockerError | null)[] {
    const { path, ballast } = this.#parts;
    try {
      if (!ballast.hold()) return this.#applyUrgent(group);
      try {
        return this.#commitGroup(group);
      } catch (error) {
        if (!isFull(error)) throw error;
        this.#log.warn("store.filled", { path });
        if (!group.some(({ urgent }) => urgent)) return group.map(() => storeFull(path, error));
        ballast.free();
        return this.#applyUrgent(group);
      }
    } catch (error) {
      const failure = storeFailure(path, error);
      this.#log.error("store.failed", { path, message: failure.message });
      throw failure;
    }
  }

  /** What may use the space that was kept back; everything else is refused. */
  #applyUrgent(group: readonly Batch[]): readonly (FlockerError | null)[] {
    const full = storeFull(this.#parts.path);
    const urgent = group.filter((batch) => batch.urgent);
    if (urgent.length === 0) return group.map(() => full);
    let answers: readonly (FlockerError | null)[];
    try {
      answers = this.#commitGroup(urgent);
    } catch (error) {
      if (!isFull(error)) throw error;
      return group.map(() => full);
    }
    return group.map((batch) => (batch.urgent ? (answers[urgent.indexOf(batch)] ?? null) : full));
  }

  #commitGroup(group: readonly Batch[]): readonly (FlockerError | null)[] {
    const { database } = this.#parts;
    const answers = transaction(database, () => group.map((batch) => this.#applyBatch(batch)));
    this.#groups += 1;
    if (this.#groups % groupsPerCheckpoint === 0) this.#checkpoint();
    return answers;
  }

  #applyBatch(batch: Batch): FlockerError | null {
    const { database } = this.#parts;
    database.exec("SAVEPOINT batch");
    try {
      this.#writer.write(batch);
      database.exec("RELEASE batch");
      return null;
    } catch (error) {
      if (!(error instanceof FlockerError) || !hasCode(error, "REVISION_CONFLICT")) throw error;
      database.exec("ROLLBACK TO batch; RELEASE batch");
      return error;
    }
  }

  /** Ours and not SQLite's own, which swallows a failed fsync of the database. */
  #checkpoint(): void {
    try {
      this.#parts.database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch (error) {
      // The commits stand in the WAL; a copy that finds no room or a reader is made later.
      if (!isFull(error) && !isBusy(error)) throw error;
    }
  }
}
