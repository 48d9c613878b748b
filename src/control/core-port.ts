import type { BootId, DatasetId, NodeId } from "../domain/ids.ts";
import { type DatasetRecord, isListed, nameOf } from "../domain/record.ts";
import { FlockerError } from "../lib/errors.ts";
import type {
  CopiesPage,
  DatasetPage,
  DatasetView,
  DeclaredDead,
  NodeView,
  ObservedDataset,
  ObservedNode,
  TrashPage,
} from "../protocol/api.ts";
import type { ControlPort, PageRequest, WantedRescue } from "./api/control-port.ts";
import type { CommitPipeline } from "./commit-pipeline.ts";
import type { ControlCore } from "./core/control-core.ts";
import type { WantedDataset } from "./core/create.ts";
import { nodeByEra } from "./core/operations.ts";
import { ConditionTimes } from "./views/condition-view.ts";
import { copyViews, datasetView } from "./views/dataset-view.ts";
import { nodeView } from "./views/node-view.ts";
import { observedDatasets, observedNodes } from "./views/observed-lists.ts";
import type { Presence } from "./views/presence.ts";
import { isKept, trashView } from "./views/trash-view.ts";

/** The calls of the REST API on the core, each through the pipeline, also those that only read. */
export class CorePort implements ControlPort {
  readonly #pipeline: CommitPipeline;
  readonly #presence: Presence;
  readonly #times = new ConditionTimes();

  constructor(pipeline: CommitPipeline, presence: Presence) {
    this.#pipeline = pipeline;
    this.#presence = presence;
  }

  records(): Promise<readonly DatasetRecord[]> {
    return this.#pipeline.run(({ state }) => [...state.records.values()]);
  }

  createDataset(wanted: WantedDataset): Promise<DatasetRecord> {
    return this.#pipeline.create((core, nowMs) => core.create(wanted, nowMs));
  }

  orderDataset(datasetId: DatasetId, primary: NodeId | null): Promise<DatasetRecord> {
    return this.#pipeline.run((core, nowMs) => core.order(datasetId, primary, nowMs), {
      grows: true,
    });
  }

  deleteDataset(datasetId: DatasetId, purge: boolean): Promise<DatasetRecord> {
    return this.#pipeline.run((core, nowMs) => core.delete(datasetId, purge, nowMs), {
      grows: true,
    });
  }

  observedDatasets(): Promise<readonly ObservedDataset[]> {
    return this.#look(({ state }, nowMs) => observedDatasets(state, this.#presence, nowMs));
  }

  observedNodes(): Promise<readonly ObservedNode[]> {
    return this.#look(({ state }, nowMs) => observedNodes(state, this.#presence, nowMs));
  }

  nodeOfEra(era: BootId): Promise<NodeId | null> {
    return this.#pipeline.run(({ state }) => nodeByEra(state, era));
  }

  datasetViews(asked: PageRequest): Promise<DatasetPage> {
    return this.#page(asked, isListed, ({ state }, record, nowMs) =>
      datasetView(state, record, this.#times, nowMs),
    );
  }

  datasetView(datasetId: DatasetId): Promise<DatasetView> {
    return this.#pipeline.run(({ state }, nowMs) => {
      const record = state.records.get(datasetId);
      if (record === undefined) throw new FlockerError("DATASET_NOT_FOUND", "Dataset not found.");
      return datasetView(state, record, this.#times, nowMs);
    });
  }

  trash(asked: PageRequest): Promise<TrashPage> {
    return this.#page(asked, isKept, ({ state }, record, nowMs) => trashView(state, record, nowMs));
  }

  restoreDataset(datasetId: DatasetId, as: string | null): Promise<DatasetRecord> {
    return this.#pipeline.create((core, nowMs) => core.restore(datasetId, as, nowMs));
  }

  purgeDataset(datasetId: DatasetId): Promise<DatasetRecord> {
    return this.#pipeline.run((core, nowMs) => core.purge(datasetId, nowMs));
  }

  copies(asked: PageRequest): Promise<CopiesPage> {
    return this.#page(
      asked,
      ({ copies }) => copies.length > 0,
      (_, record) => ({
        dataset_id: record.datasetId,
        name: nameOf(record),
        deleted: record.deletion !== null,
        copies: copyViews(record),
      }),
    );
  }

  rescueCopy(datasetId: DatasetId, wanted: WantedRescue): Promise<DatasetRecord> {
    return this.#pipeline.create((core, nowMs) => core.rescue({ datasetId, ...wanted }, nowMs));
  }

  nodeViews(): Promise<readonly NodeView[]> {
    return this.#look(({ state }, nowMs) =>
      [...state.nodes.keys()].sort().map((node) => this.#node({ state }, node, nowMs)),
    );
  }

  declareDead(node: NodeId, force: boolean): Promise<DeclaredDead> {
    return this.#pipeline.run((core, nowMs) => {
      const overridden = core.declareDead(node, force, nowMs);
      return { node: this.#node(core, node, nowMs), overridden: [...overridden] };
    });
  }

  removeNode(node: NodeId): Promise<NodeView> {
    return this.#pipeline.run((core, nowMs) => {
      core.removeNode(node, nowMs);
      return this.#node(core, node, nowMs);
    });
  }

  replaceNode(node: NodeId): Promise<NodeView> {
    return this.#pipeline.run((core, nowMs) => {
      core.replaceNode(node, nowMs);
      return this.#node(core, node, nowMs);
    });
  }

  /** In the order of ids. */
  #page<View>(
    { limit, after }: PageRequest,
    fits: (record: DatasetRecord) => boolean,
    view: (core: ControlCore, record: DatasetRecord, nowMs: number) => View,
  ): Promise<{ datasets: View[]; next: string | null }> {
    return this.#pipeline.run((core, nowMs) => {
      const records = [...core.state.records.values()]
        .filter((record) => fits(record) && (after === null || record.datasetId > after))
        .sort((a, b) => (a.datasetId < b.datasetId ? -1 : 1));
      const page = records.slice(0, limit);
      return {
        datasets: page.map((record) => view(core, record, nowMs)),
        next: records.length > limit ? (page.at(-1)?.datasetId ?? null) : null,
      };
    });
  }

  /** A read that depends on who is connected at this instant. */
  #look<T>(work: (core: ControlCore, nowMs: number) => T): Promise<T> {
    return this.#pipeline.run((core, nowMs) => {
      this.#presence.note(core.state, nowMs);
      return work(core, nowMs);
    });
  }

  #node({ state }: Pick<ControlCore, "state">, node: NodeId, nowMs: number): NodeView {
    const entry = state.nodes.get(node);
    if (entry === undefined) throw new FlockerError("NODE_NOT_FOUND", `Node ${node} not found.`);
    return nodeView(state, entry, { presence: this.#presence, times: this.#times }, nowMs);
  }
}
