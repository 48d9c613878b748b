import { type DatasetId, parseDatasetId, parseNodeId, parseOpId } from "../../domain/ids.ts";
import { newRecord } from "../../domain/new-record.ts";
import { decideSize, type Pool } from "../../domain/pool.ts";
import { type DatasetRecord, nameOf } from "../../domain/record.ts";
import type { RecordEvent } from "../../domain/record-event.ts";
import { isRefusal, recordStep } from "../../domain/record-step.ts";
import { FlockerError } from "../../lib/errors.ts";
import type {
  CopiesPage,
  DatasetView,
  NodeView,
  ObservedDataset,
  ObservedNode,
  TrashPage,
} from "../../protocol/api.ts";
import type { WantedDataset } from "../core/create.ts";
import type { ControlPort, WantedRescue } from "./control-port.ts";

export const nodeA = parseNodeId("1acbab49-d4e5-4f60-8a7b-9c0d1e2f3a4b");
export const nodeB = parseNodeId("5f3d2f4e-6c3a-4d9b-8f21-5a4c3b2d1e0f");
export const eraA = "3b0f6a5e-0d5e-1c0e-8d3b-2f6d0d5b7a11";

const pool: Pool = {
  name: "default",
  driver: "memory",
  defaultSizeBytes: 10 * 2 ** 30,
  capabilities: {
    kind: "attachable",
    exclusive: "enforced",
    fence: "none",
    sizeBytesMin: 2 ** 26,
    sizeBytesStep: 2 ** 20,
    sizeBytesMax: 2 ** 44,
    attachedMax: 16,
    listDelayMsMax: 0,
    operationMsMax: 1_000,
  },
};

/** A control service of two joined nodes in memory, with the domain's rules and nothing behind. */
export class TestControl implements ControlPort {
  readonly known = new Map<DatasetId, DatasetRecord>();
  observed: readonly ObservedDataset[] = [];
  /** Every call fails with this when set. */
  failure: Error | null = null;
  #ids = 0;
  #revision = 0;

  async records(): Promise<readonly DatasetRecord[]> {
    await this.#commit();
    return [...this.known.values()];
  }

  async createDataset(wanted: WantedDataset): Promise<DatasetRecord> {
    await this.#commit();
    const datasetId = wanted.datasetId ?? parseDatasetId(this.#newId());
    if (this.known.has(datasetId)) {
      throw new FlockerError("DATASET_ID_IN_USE", "The provided dataset_id is already in use.");
    }
    this.#joined(wanted.primary);
    const name = nameOf(wanted);
    if (name !== null && [...this.known.values()].some((one) => nameOf(one) === name)) {
      throw new FlockerError("NAME_IN_USE", `The name ${name} is already used.`);
    }
    const fileSystem = wanted.fileSystem ?? "ext4";
    const record = newRecord({
      ...wanted,
      ...decideSize(wanted.maximumSizeBytes, pool, fileSystem),
      datasetId,
      pool: wanted.pool ?? pool.name,
      poolKind: "attachable",
      fileSystem,
      reclaim: wanted.reclaim ?? "trash",
      atMs: 1,
      lineage: parseOpId(this.#newId()),
    });
    return this.#save(record);
  }

  async orderDataset(
    datasetId: DatasetId,
    primary: ReturnType<typeof parseNodeId> | null,
  ): Promise<DatasetRecord> {
    await this.#commit();
    const record = this.#find(datasetId);
    if (record.deletion !== null) {
      throw new FlockerError("DATASET_DELETED", "The dataset has been deleted.");
    }
    if (primary === null) return record;
    this.#joined(primary);
    return this.#apply(record, { kind: "ordered", node: primary, atMs: 2 });
  }

  async deleteDataset(datasetId: DatasetId, purge: boolean): Promise<DatasetRecord> {
    await this.#commit();
    const record = this.#find(datasetId);
    const reclaim = purge ? "delete" : record.reclaim;
    return this.#apply(record, { kind: "deletion_asked", atMs: 3, reclaim });
  }

  /** The volume of a deleted dataset is gone or kept aside: only the tombstone stays. */
  endDeletion(datasetId: DatasetId): void {
    const op = parseOpId(this.#newId());
    this.#apply(this.#find(datasetId), { kind: "deletion_advanced", op });
  }

  async observedDatasets(): Promise<readonly ObservedDataset[]> {
    await this.#commit();
    return this.observed;
  }

  async observedNodes(): Promise<readonly ObservedNode[]> {
    await this.#commit();
    return [
      { host: "192.168.1.10", uuid: nodeA },
      { host: "192.168.1.11", uuid: nodeB },
    ];
  }

  async nodeOfEra(era: string): Promise<typeof nodeA | null> {
    await this.#commit();
    return era === eraA ? nodeA : null;
  }

  async datasetViews({
    limit,
    after,
  }: {
    limit: number;
    after: string | null;
  }): Promise<{ datasets: DatasetView[]; next: string | null }> {
    await this.#commit();
    const ids = [...this.known.keys()].sort().filter((id) => after === null || id > after);
    const page = ids.slice(0, limit);
    return {
      datasets: page.map((id) => viewOf(this.#find(id))),
      next: ids.length > limit ? (page.at(-1) ?? null) : null,
    };
  }

  async datasetView(datasetId: DatasetId): Promise<DatasetView> {
    await this.#commit();
    return viewOf(this.#find(datasetId));
  }

  async trash(): Promise<TrashPage> {
    await this.#commit();
    const kept = [...this.known.values()].filter(({ deletion }) => deletion?.phase === "trashed");
    const datasets = kept.map((record) => ({
      dataset_id: record.datasetId,
      name: nameOf(record),
      size: record.sizeBytes,
      pool: record.pool,
      primary: record.primary,
      phase: "trashed" as const,
      deleted: new Date(record.deletion?.atMs ?? 0).toISOString(),
      purged: null,
    }));
    return { datasets, next: null };
  }

  async restoreDataset(datasetId: DatasetId, as: string | null): Promise<DatasetRecord> {
    await this.#commit();
    const record = this.#find(datasetId);
    const name = as ?? nameOf(record) ?? "";
    return this.#apply(record, { kind: "restored", metadata: { ...record.metadata, name } });
  }

  async purgeDataset(datasetId: DatasetId): Promise<DatasetRecord> {
    await this.#commit();
    return this.#apply(this.#find(datasetId), { kind: "purge_asked" });
  }

  async copies(): Promise<CopiesPage> {
    await this.#commit();
    return { datasets: [], next: null };
  }

  async rescueCopy(datasetId: DatasetId, { node, name }: WantedRescue): Promise<DatasetRecord> {
    this.#find(datasetId);
    return await this.createDataset({
      datasetId: null,
      primary: node,
      metadata: { name },
      maximumSizeBytes: null,
      pool: null,
      fileSystem: null,
      reclaim: null,
    });
  }

  async nodeViews(): Promise<readonly NodeView[]> {
    await this.#commit();
    return [this.#nodeView(nodeA), this.#nodeView(nodeB)];
  }

  async declareDead(
    node: typeof nodeA,
    force: boolean,
  ): Promise<{ node: NodeView; overridden: string[] }> {
    await this.#commit();
    const view = this.#nodeView(node);
    if (!force) throw new FlockerError("NODE_ALIVE", `Node ${node} still answers.`);
    return { node: { ...view, status: "dead" }, overridden: [...this.known.keys()] };
  }

  async removeNode(node: typeof nodeA): Promise<NodeView> {
    await this.#commit();
    return { ...this.#nodeView(node), status: "removed" };
  }

  async replaceNode(node: typeof nodeA): Promise<NodeView> {
    await this.#commit();
    this.#nodeView(node);
    throw new FlockerError("NODE_NOT_CLASHING", `Node ${node} has no clash to settle.`);
  }

  async #commit(): Promise<void> {
    await Promise.resolve();
    if (this.failure !== null) throw this.failure;
  }

  #newId(): string {
    this.#ids += 1;
    return `00000000-0000-4000-8000-${String(this.#ids).padStart(12, "0")}`;
  }

  #find(datasetId: DatasetId): DatasetRecord {
    const record = this.known.get(datasetId);
    if (record === undefined) throw new FlockerError("DATASET_NOT_FOUND", "Dataset not found.");
    return record;
  }

  #joined(node: typeof nodeA): void {
    if (node === nodeA || node === nodeB) return;
    throw new FlockerError(
      "NODE_UNKNOWN",
      "The provided primary node is not part of the cluster.",
      { details: { primary: node } },
    );
  }

  #nodeView(node: typeof nodeA): NodeView {
    if (node !== nodeA && node !== nodeB) {
      throw new FlockerError("NODE_NOT_FOUND", `Node ${node} not found.`);
    }
    return {
      uuid: node,
      host: node === nodeA ? "192.168.1.10" : "192.168.1.11",
      era: null,
      status: "connected",
      pools: [{ name: pool.name, driver: pool.driver, kind: pool.capabilities.kind }],
      last_seen: null,
      condition: null,
    };
  }

  #apply(record: DatasetRecord, event: RecordEvent): DatasetRecord {
    const next = recordStep(record, event);
    return isRefusal(next) ? record : this.#save(next);
  }

  #save(record: DatasetRecord): DatasetRecord {
    this.#revision += 1;
    const saved = { ...record, revision: this.#revision };
    this.known.set(saved.datasetId, saved);
    return saved;
  }
}

function viewOf(record: DatasetRecord): DatasetView {
  return {
    dataset_id: record.datasetId,
    name: nameOf(record),
    metadata: record.metadata,
    primary: record.primary,
    maximum_size: record.maximumSizeBytes,
    size: record.sizeBytes,
    pool: record.pool,
    fs: record.fileSystem ?? "native",
    reclaim: record.reclaim,
    deleted: record.deletion !== null,
    phase: "pending",
    node: null,
    path: null,
    claim: null,
    volume: { kind: record.volume.kind, ref: null },
    formatted: false,
    op: null,
    move: null,
    copies: [],
    from: null,
    users: [],
    notice: record.notice,
    condition: null,
    revision: record.revision,
  };
}
