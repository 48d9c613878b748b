import { Agent } from "node:https";
import type { ConnectionOptions } from "node:tls";
import { FlockerError } from "../lib/errors.ts";
import type {
  ConfigureDataset,
  ConfiguredDataset,
  CopiesPage,
  CopiesView,
  CreateDataset,
  DatasetPage,
  DatasetView,
  DeclareDead,
  DeclaredDead,
  NodeList,
  NodeView,
  ObservedDataset,
  ObservedNode,
  RescueCopy,
  RestoreDataset,
  TrashPage,
  TrashView,
  VersionAnswer,
} from "../protocol/api.ts";
import type { AnswerKind, AnswerOf } from "./checked-answer.ts";
import { type Endpoint, type Exchange, exchange } from "./request.ts";

export type ApiClientOptions = Endpoint & {
  /** Client certificate, authority and the name to verify. */
  readonly tls: ConnectionOptions;
  /** For each request, connecting included. */
  readonly deadlineMs?: number;
  /** Aborts what is under way; later calls reject at once. */
  readonly signal?: AbortSignal | undefined;
  /** Called for each request that has taken two seconds so far. */
  readonly onWaiting?: (() => void) | undefined;
};

/**
 * The REST API of one control service. Every method rejects with a `FlockerError`: the code and
 * description that the control service sent, or why it could not be asked. Nothing is retried.
 */
export interface ApiClient extends Disposable {
  version(): Promise<VersionAnswer>;
  listConfiguration(): Promise<readonly ConfiguredDataset[]>;
  /** As Flocker 1.15 had it; `createDatasetWith` takes all the options. */
  createDataset(dataset: ConfigureDataset): Promise<ConfiguredDataset>;
  createDatasetWith(dataset: CreateDataset): Promise<DatasetView>;
  moveDataset(datasetId: string, primary: string): Promise<ConfiguredDataset>;
  /** Follows the dataset's reclaim policy; `purge` skips the trash. */
  deleteDataset(datasetId: string, options?: { purge?: boolean }): Promise<ConfiguredDataset>;
  listStateDatasets(): Promise<readonly ObservedDataset[]>;
  listNodesState(): Promise<readonly ObservedNode[]>;
  /** One page; `next` of the answer is the next `after`. */
  listDatasets(page?: { limit?: number; after?: string }): Promise<DatasetPage>;
  /** All pages as one. */
  listAllDatasets(): Promise<DatasetPage>;
  dataset(datasetId: string): Promise<DatasetView>;
  /** All pages as one. */
  listTrash(): Promise<TrashPage>;
  restoreDataset(datasetId: string, options?: RestoreDataset): Promise<DatasetView>;
  /** Destroys what is in the trash. */
  purgeDataset(datasetId: string): Promise<DatasetView>;
  /** All pages as one: every dataset with copies on nodes' own disks, deleted ones too. */
  listCopies(): Promise<CopiesPage>;
  /** Makes a new dataset of a copy that was put aside. */
  rescueCopy(datasetId: string, wanted: RescueCopy): Promise<DatasetView>;
  listNodes(): Promise<NodeList>;
  declareDead(nodeId: string, options?: DeclareDead): Promise<DeclaredDead>;
  removeNode(nodeId: string): Promise<NodeView>;
  replaceNode(nodeId: string): Promise<NodeView>;
}

type Ask = <Kind extends AnswerKind>(
  kind: Kind,
  method: Exchange["method"],
  path: string,
  body?: object,
) => Promise<AnswerOf<Kind>>;

const deadlineMsDefault = 30_000;
const pagesMax = 10_000;

/** Connects on the first call, and again when the connection was lost. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const { host, port, deadlineMs = deadlineMsDefault } = options;
  const agent = new Agent({ ...options.tls, keepAlive: true, maxSockets: 4 });
  const endpoint = { host, port };

  const ask: Ask = async (kind, method, path, body) => {
    const { signal, onWaiting } = options;
    const wanted = { endpoint, agent, method, path, body, deadlineMs, signal, onWaiting };
    const answer = await exchange(wanted);
    const { checkedAnswer } = await import("./checked-answer.ts");
    return checkedAnswer(kind, answer, endpoint);
  };
  const resources = { ...oldResources(ask), ...newResources(ask), ...keptResources(ask) };
  return { ...resources, [Symbol.dispose]: () => agent.destroy() };
}

const configuration = "/v1/configuration/datasets";
const configured = (id: string): string => `${configuration}/${encodeURIComponent(id)}`;
const trash = (id: string): string => `/v1/trash/${encodeURIComponent(id)}`;
const nodePath = (id: string): string => `/v1/nodes/${encodeURIComponent(id)}`;

function oldResources(
  ask: Ask,
): Pick<
  ApiClient,
  | "version"
  | "listConfiguration"
  | "createDataset"
  | "moveDataset"
  | "deleteDataset"
  | "listStateDatasets"
  | "listNodesState"
> {
  return {
    version: () => ask("versionAnswer", "GET", "/v1/version"),
    listConfiguration: () => ask("configuredDatasets", "GET", configuration),
    createDataset: (body) => ask("configuredDataset", "POST", configuration, body),
    moveDataset: (id, primary) => ask("configuredDataset", "POST", configured(id), { primary }),
    deleteDataset: (id, { purge = false } = {}) =>
      ask("configuredDataset", "DELETE", purge ? `${configured(id)}?purge=true` : configured(id)),
    listStateDatasets: () => ask("observedDatasets", "GET", "/v1/state/datasets"),
    listNodesState: () => ask("observedNodes", "GET", "/v1/state/nodes"),
  };
}

function newResources(
  ask: Ask,
): Pick<
  ApiClient,
  | "createDatasetWith"
  | "listDatasets"
  | "listAllDatasets"
  | "dataset"
  | "listNodes"
  | "declareDead"
  | "removeNode"
  | "replaceNode"
> {
  const listDatasets: ApiClient["listDatasets"] = (page = {}) =>
    ask("datasetPage", "GET", pagePath("/v1/datasets", page));
  return {
    createDatasetWith: (body) => ask("datasetView", "POST", "/v1/datasets", body),
    listDatasets,
    listAllDatasets: () => allPages(listDatasets),
    dataset: (id) => ask("datasetView", "GET", `/v1/datasets/${encodeURIComponent(id)}`),
    listNodes: () => ask("nodeList", "GET", "/v1/nodes"),
    declareDead: (id, body = {}) =>
      ask("declaredDead", "POST", `${nodePath(id)}/declare-dead`, body),
    removeNode: (id) => ask("nodeView", "POST", `${nodePath(id)}/remove`, {}),
    replaceNode: (id) => ask("nodeView", "POST", `${nodePath(id)}/replace`, {}),
  };
}

function keptResources(
  ask: Ask,
): Pick<ApiClient, "listTrash" | "restoreDataset" | "purgeDataset" | "listCopies" | "rescueCopy"> {
  return {
    listTrash: () =>
      allPages<TrashView>((page) => ask("trashPage", "GET", pagePath("/v1/trash", page))),
    restoreDataset: (id, body = {}) => ask("datasetView", "POST", `${trash(id)}/restore`, body),
    purgeDataset: (id) => ask("datasetView", "POST", `${trash(id)}/purge`, {}),
    listCopies: () =>
      allPages<CopiesView>((page) => ask("copiesPage", "GET", pagePath("/v1/copies", page))),
    rescueCopy: (id, body) =>
      ask("datasetView", "POST", `/v1/datasets/${encodeURIComponent(id)}/rescue`, body),
  };
}

type PageAsked = { readonly limit?: number; readonly after?: string };
type Page<One> = { readonly datasets: readonly One[]; readonly next: string | null };

function pagePath(path: string, { limit, after }: PageAsked): string {
  const query = new URLSearchParams();
  if (limit !== undefined) query.set("limit", String(limit));
  if (after !== undefined) query.set("after", after);
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

async function allPages<One>(
  list: (page: PageAsked) => Promise<Page<One>>,
): Promise<{ datasets: One[]; next: null }> {
  const datasets: One[] = [];
  let after: string | null = null;
  for (let pages = 0; pages < pagesMax; pages += 1) {
    const page: Page<One> = await list(after === null ? {} : { after });
    datasets.push(...page.datasets);
    after = page.next;
    if (after === null) return { datasets, next: null };
  }
  throw new FlockerError("PROTOCOL_ERROR", `the list of datasets has over ${pagesMax} pages`);
}
