import type { BootId, DatasetId, NodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type {
  CopiesPage,
  DatasetPage,
  DatasetView,
  DeclaredDead,
  NodeView,
  ObservedDataset,
  ObservedNode,
  TrashPage,
} from "../../protocol/api.ts";
import type { WantedDataset } from "../core/create.ts";

export type WantedRescue = { readonly node: NodeId; readonly name: string };

export type PageRequest = { readonly limit: number; readonly after: string | null };

/**
 * The control service as the REST API sees it. Every answer, also of a method that only reads,
 * comes after all that it was derived from is durable. Refusals are `FlockerError`s; ids that were
 * never known are `DATASET_NOT_FOUND` and `NODE_NOT_FOUND`.
 */
export interface ControlPort {
  /** All records, tombstones included; the API leaves out what no old client should list. */
  records(): Promise<readonly DatasetRecord[]>;
  /** Answers when each live session has stored the name. */
  createDataset(wanted: WantedDataset): Promise<DatasetRecord>;
  /** A lasting order; null asks for nothing, but still fails for a deleted dataset. */
  orderDataset(datasetId: DatasetId, primary: NodeId | null): Promise<DatasetRecord>;
  /** Idempotent; `purge` destroys without the trash. */
  deleteDataset(datasetId: DatasetId, purge: boolean): Promise<DatasetRecord>;
  /** What agents that were heard in the last 120 s report. */
  observedDatasets(): Promise<readonly ObservedDataset[]>;
  observedNodes(): Promise<readonly ObservedNode[]>;
  /** The node that runs this boot, also after it fell silent; null when none is known. */
  nodeOfEra(era: BootId): Promise<NodeId | null>;
  /** In the order of ids; `after` is the `next` of the page before. */
  datasetViews(page: PageRequest): Promise<DatasetPage>;
  datasetView(datasetId: DatasetId): Promise<DatasetView>;
  /** What was deleted and is still there, in the order of ids. */
  trash(page: PageRequest): Promise<TrashPage>;
  /** Out of the trash, under its own name or `as`; answers as a creation does. */
  restoreDataset(datasetId: DatasetId, as: string | null): Promise<DatasetRecord>;
  /** Destroys what is in the trash, or was retained; idempotent. */
  purgeDataset(datasetId: DatasetId): Promise<DatasetRecord>;
  /** Every dataset with copies on nodes' own disks, tombstones too, in the order of ids. */
  copies(page: PageRequest): Promise<CopiesPage>;
  /** A new dataset of another one's diverged copy or fallback; answers as a creation does. */
  rescueCopy(datasetId: DatasetId, wanted: WantedRescue): Promise<DatasetRecord>;
  nodeViews(): Promise<readonly NodeView[]>;
  declareDead(node: NodeId, force: boolean): Promise<DeclaredDead>;
  removeNode(node: NodeId): Promise<NodeView>;
  replaceNode(node: NodeId): Promise<NodeView>;
}
