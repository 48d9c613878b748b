import { assert, unreachable } from "../../lib/assert.ts";
import { FlockerError, hasCode } from "../../lib/errors.ts";
import type { DatasetId, NodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { type Batch, GroupCommit } from "./group-commit.ts";
import {
  type AuditEntry,
  type AuditLimits,
  type CommitOptions,
  type OpenedStore,
  type Start,
  type Store,
  type StoreContents,
  type StoreWrite,
  auditLimits,
} from "./store.ts";
import { revisionConflict, storeClosed } from "./store-errors.ts";

type State = {
  readonly storeId: string;
  readonly revision: number;
  readonly starts: readonly Start[];
  readonly records: ReadonlyMap<DatasetId, DatasetRecord>;
  readonly nodes: ReadonlyMap<NodeId, string>;
  readonly meta: ReadonlyMap<string, string>;
  readonly audit: readonly AuditEntry[];
  readonly restored: boolean;
  readonly copied: boolean;
};

/** Stands for the disk: what is in `durable` survives a crash. */
export class MemoryMedium {
  durable: State | null = null;
}

export type MemoryStoreOptions = {
  readonly medium: MemoryMedium;
  readonly newId: () => string;
  readonly auditLimits?: AuditLimits;
};

/** The reference model of the port, for tests: the same promises without a disk. */
export function openMemoryStore(options: MemoryStoreOptions): OpenedStore & {
  readonly store: MemoryStore;
} {
  const { medium, newId } = options;
  const before = medium.durable ?? empty(newId());
  const start: Start = {
    term: (before.starts.at(-1)?.term ?? 0) + 1,
    instance: newId(),
    firstRevision: before.revision,
  };
  const state = { ...before, starts: [...before.starts, start] };
  medium.durable = state;
  const { audit: _, ...rest } = state;
  const contents: StoreContents = { ...rest, term: start.term, instance: start.instance };
  return { store: new MemoryStore(medium, options.auditLimits ?? auditLimits), contents };
}

function empty(storeId: string): State {
  return {
    storeId,
    revision: 0,
    starts: [],
    records: new Map(),
    nodes: new Map(),
    meta: new Map(),
    audit: [],
    restored: false,
    copied: false,
  };
}

/** See `openMemoryStore`; `crash` is its power cut. */
export class MemoryStore implements Store {
  readonly #medium: MemoryMedium;
  readonly #limits: AuditLimits;
  readonly #queue = new GroupCommit((group) => this.#apply(group));

  constructor(medium: MemoryMedium, limits: AuditLimits) {
    this.#medium = medium;
    this.#limits = limits;
  }

  commit(
    writes: readonly StoreWrite[],
    revision: number,
    options: CommitOptions = {},
  ): Promise<void> {
    return this.#queue.add({ writes, revision, urgent: options.urgent ?? false });
  }

  isFull(): boolean {
    return false;
  }

  audit(limit: number): Promise<readonly AuditEntry[]> {
    return Promise.resolve((this.#medium.durable?.audit ?? []).slice(-limit).toReversed());
  }

  /** Power cut: what was not yet acknowledged is gone. */
  crash(): void {
    this.#queue.fail(new FlockerError("STORE_FAILED", "The store lost its power."));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#queue.flush();
    this.#queue.fail(storeClosed());
    return Promise.resolve();
  }

  #apply(group: readonly Batch[]): readonly (FlockerError | null)[] {
    return group.map((batch) => {
      const before = this.#medium.durable;
      assert(before !== null, "a store that was opened has a medium");
      try {
        this.#medium.durable = applied(before, batch, this.#limits);
        return null;
      } catch (error) {
        if (error instanceof FlockerError && hasCode(error, "REVISION_CONFLICT")) return error;
        throw error;
      }
    });
  }
}

function applied(before: State, { writes, revision }: Batch, limits: AuditLimits): State {
  if (revision < before.revision) throw revisionConflict("store", before.revision, revision);
  const records = new Map(before.records);
  const nodes = new Map(before.nodes);
  const meta = new Map(before.meta);
  const audit = [...before.audit];
  let marks = { restored: before.restored, copied: before.copied };
  for (const write of writes) {
    switch (write.kind) {
      case "record": {
        const id = write.record.datasetId;
        const found = records.get(id)?.revision ?? null;
        if (found !== write.expectedRevision) {
          throw revisionConflict(`dataset ${id}`, found, write.expectedRevision);
        }
        records.set(id, write.record);
        break;
      }
      case "node":
        nodes.set(write.nodeId, write.value);
        break;
      case "audit":
        audit.push({ atMs: write.atMs, text: write.text });
        break;
      case "meta":
        meta.set(write.key, write.value);
        break;
      case "recovered":
        marks = { restored: false, copied: false };
        break;
      default:
        return unreachable(write);
    }
  }
  return { ...before, ...marks, revision, records, nodes, meta, audit: kept(audit, limits) };
}

function kept(audit: readonly AuditEntry[], limits: AuditLimits): readonly AuditEntry[] {
  const oldestMs = (audit.at(-1)?.atMs ?? 0) - limits.ageMsMax;
  return audit.slice(-limits.entriesMax).filter(({ atMs }) => atMs >= oldestMs);
}
