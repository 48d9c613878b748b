import type { DatasetId, NodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";

/** One thing to make durable. */
export type StoreWrite =
  | {
      readonly kind: "record";
      readonly record: DatasetRecord;
      /** Compare-and-set: the revision that is replaced; null when there must be no record. */
      readonly expectedRevision: number | null;
    }
  /** An entry of the registry of nodes, as JSON that the store does not look into. */
  | { readonly kind: "node"; readonly nodeId: NodeId; readonly value: string }
  /** Append only; the oldest go when there are too many or they are too old. */
  | { readonly kind: "audit"; readonly atMs: number; readonly text: string }
  | { readonly kind: "meta"; readonly key: string; readonly value: string }
  /** `flocker control recover` has ended: the marks `restored` and `copied` go. */
  | { readonly kind: "recovered" };

export type Start = {
  readonly term: number;
  readonly instance: string;
  /** Highest revision of the starts before; what is above it was written in this one or later. */
  readonly firstRevision: number;
};

/** Everything that was durable when the start was opened. */
export type StoreContents = {
  readonly storeId: string;
  readonly revision: number;
  readonly term: number;
  readonly instance: string;
  /** All starts of this store's history, this one last. */
  readonly starts: readonly Start[];
  readonly records: ReadonlyMap<DatasetId, DatasetRecord>;
  readonly nodes: ReadonlyMap<NodeId, string>;
  readonly meta: ReadonlyMap<string, string>;
  /** Made from a backup or set back by hand, and not recovered since: grant nothing. */
  readonly restored: boolean;
  /** A copy that a person accepted, not recovered since: the original may still be running. */
  readonly copied: boolean;
};

export type AuditEntry = { readonly atMs: number; readonly text: string };

export type CommitOptions = {
  /** May use the space that is kept back: whoever asks has refused what makes the store grow. */
  readonly urgent?: boolean;
};

/**
 * What must outlive the control service. One process writes; it holds all of it in memory and
 * reads it only when it starts.
 */
export interface Store extends AsyncDisposable {
  /**
   * All or nothing, durable when resolved. `revision` is the store's from then on and never goes
   * down. Commits of one turn of the event loop share one fsync and keep their order; one that is
   * refused does not hinder the others.
   *
   * `REVISION_CONFLICT`: an expected revision is stale; nothing of this commit was written.
   * `STORE_FULL`: no space; nothing was written, later commits may succeed.
   * `STORE_FAILED`: it is unknown what was written; every later call fails too, and the process
   * must end: the next start checks before it serves.
   */
  commit(writes: readonly StoreWrite[], revision: number, options?: CommitOptions): Promise<void>;
  /** The space that is kept back is in use: what makes the store grow should not be asked. */
  isFull(): boolean;
  /** Newest first, at most `limit`. */
  audit(limit: number): Promise<readonly AuditEntry[]>;
  /** Commits what is waiting and closes. Commits after this are `STORE_FAILED`. */
  [Symbol.asyncDispose](): Promise<void>;
}

export type OpenedStore = { readonly store: Store; readonly contents: StoreContents };

export type AuditLimits = { readonly entriesMax: number; readonly ageMsMax: number };
export const auditLimits: AuditLimits = { entriesMax: 100_000, ageMsMax: 400 * 86_400_000 };
