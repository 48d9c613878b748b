import type {
  CoreContents,
  CoreWrite,
  NodeEntry,
  StoreStart,
  UptimeBook,
} from "../../control/core/state.ts";
import type { ClusterId, DatasetId, NodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { Mode } from "../../protocol/agent-messages.ts";

/** What is durable of one store: survives the control service, its machine's power, and copies. */
export class StoreMedium {
  storeId: string;
  readonly clusterId: ClusterId;
  revision = 0;
  starts: readonly StoreStart[] = [];
  records: ReadonlyMap<DatasetId, DatasetRecord> = new Map();
  nodes: ReadonlyMap<NodeId, NodeEntry> = new Map();
  uptime: UptimeBook | null = null;
  recovering = false;
  readOnly: Mode | null = null;
  /** The world's own knowledge: it was lost or set back, and no recovery has ended since. */
  setBack = false;

  constructor(storeId: string, clusterId: ClusterId) {
    this.storeId = storeId;
    this.clusterId = clusterId;
  }

  /** All or nothing, as one transaction of the database. */
  apply(writes: readonly CoreWrite[], revision: number): void {
    const records = new Map(this.records);
    const nodes = new Map(this.nodes);
    for (const write of writes) {
      if (write.kind === "record") records.set(write.record.datasetId, write.record);
      if (write.kind === "node") nodes.set(write.entry.nodeId, write.entry);
      if (write.kind === "uptime") this.uptime = write.book;
      if (write.kind === "recovered") this.#recovered();
    }
    this.records = records;
    this.nodes = nodes;
    this.revision = Math.max(this.revision, revision);
  }

  #recovered(): void {
    this.recovering = false;
    this.setBack = false;
  }

  /** A start is itself durable before anything is served. */
  open(instance: string): CoreContents {
    const term = (this.starts.at(-1)?.term ?? 0) + 1;
    this.starts = [...this.starts, { term, instance, firstRevision: this.revision }];
    return {
      storeId: this.storeId,
      clusterId: this.clusterId,
      revision: this.revision,
      starts: this.starts,
      records: [...this.records.values()],
      nodes: [...this.nodes.values()],
      recovering: this.recovering,
      everRecovered: this.recovering,
      readOnly: this.readOnly,
      ...(this.uptime === null ? {} : { uptime: this.uptime }),
    };
  }

  copy(): StoreMedium {
    const twin = new StoreMedium(this.storeId, this.clusterId);
    twin.becomeLike(this);
    return twin;
  }

  /** The files are replaced by those of `other`. */
  becomeLike(other: StoreMedium): void {
    this.storeId = other.storeId;
    this.revision = other.revision;
    this.starts = other.starts;
    this.records = other.records;
    this.nodes = other.nodes;
    this.uptime = other.uptime;
    this.recovering = other.recovering;
    this.readOnly = other.readOnly;
    this.setBack = other.setBack;
  }
}
