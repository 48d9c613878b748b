import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { onlyRole } from "../ca/only-role.ts";
import { type TestCluster, makeTestCluster } from "../ca/test-cluster.ts";
import { loadTls, serverTls } from "../ca/tls.ts";
import { silentLogger } from "../lib/log.ts";
import type { ConfiguredDataset, DatasetView, NodeView, TrashView } from "../protocol/api.ts";

export type Reply = { readonly status: number; readonly body: unknown };
export type Asked = { readonly method: string; readonly path: string; readonly body: unknown };

/** A control service that answers from two lists and remembers what it was asked. */
export type TestControlService = AsyncDisposable & {
  readonly port: number;
  readonly cluster: TestCluster;
  readonly asked: Asked[];
  nodes: readonly NodeView[];
  datasets: readonly DatasetView[];
  trash: readonly TrashView[];
  /** When set, the answer to everything. Text that is no JSON is sent as it stands. */
  reply: Reply | { readonly text: string } | "silence" | null;
};

export async function startTestControlService(): Promise<TestControlService> {
  const cluster = await makeTestCluster();
  const credentials = await loadTls(cluster.control, "control");
  const server = createServer(serverTls(credentials, "TLSv1.2"));
  onlyRole(server, "user", silentLogger);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const service: TestControlService = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    cluster,
    asked: [],
    nodes: [],
    datasets: [],
    trash: [],
    reply: null,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      await cluster[Symbol.asyncDispose]();
    },
  };
  server.on("request", (request, response) => {
    void serve(request, response, service);
  });
  return service;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  service: TestControlService,
): Promise<void> {
  const asked = await readAsked(request);
  service.asked.push(asked);
  const reply = service.reply ?? answerFrom(service, asked);
  if (reply !== "silence") send(response, reply);
}

function send(response: ServerResponse, reply: Reply | { readonly text: string }): void {
  if ("text" in reply) {
    response.end(reply.text);
    return;
  }
  response.writeHead(reply.status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(reply.body));
}

async function readAsked(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) if (chunk instanceof Buffer) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  const body: unknown = text === "" ? null : JSON.parse(text);
  return { method: request.method ?? "", path: request.url ?? "", body };
}

const pageSize = 2;

function answerFrom(service: TestControlService, { method, path, body }: Asked): Reply {
  const { datasets, nodes, trash } = service;
  const { pathname, searchParams } = new URL(path, "https://control-service");
  const [, , resource = "", id = "", verb = ""] = pathname.split("/");
  const node = nodes.find(({ uuid }) => uuid === id);
  switch (`${method} ${resource}`) {
    case "GET version":
      return ok({ flocker: "2.0.0-test" });
    case "GET nodes":
      return ok({ nodes });
    case "GET datasets":
      return id === "" ? page(datasets, searchParams.get("after")) : ok(byId(datasets, id));
    case "GET trash":
      return page(trash, searchParams.get("after"));
    case "GET copies":
      return page(
        datasets.map(({ dataset_id, name, deleted, copies }) => ({
          dataset_id,
          name,
          deleted,
          copies,
        })),
        searchParams.get("after"),
      );
    case "POST trash":
      return ok(datasets[0]);
    case "POST datasets":
      return { status: 201, body: { ...datasets[0], notice: "rounded up" } };
    case "POST configuration":
    case "DELETE configuration":
      return configured(datasets, verb, body, method === "DELETE");
    case "POST nodes":
      return verb === "declare-dead"
        ? ok({ node, overridden: [datasets[0]?.dataset_id] })
        : ok(node);
    default:
      return { status: 404, body: { description: "no such resource", code: "NOT_FOUND" } };
  }
}

function ok(body: unknown): Reply {
  return { status: 200, body };
}

function byId(datasets: readonly DatasetView[], id: string): DatasetView | undefined {
  return datasets.find(({ dataset_id: each }) => each === id);
}

/** Two at a time, so that clients have to ask again. */
function page(datasets: readonly object[], after: string | null): Reply {
  const begin = after === null ? 0 : Number(after);
  const next = begin + pageSize < datasets.length ? String(begin + pageSize) : null;
  return ok({ datasets: datasets.slice(begin, begin + pageSize), next });
}

function configured(
  datasets: readonly DatasetView[],
  id: string,
  body: unknown,
  deleted: boolean,
): Reply {
  const dataset = id === "" ? datasets[0] : byId(datasets, id);
  if (dataset === undefined) {
    return { status: 404, body: { description: "Dataset not found.", code: "DATASET_NOT_FOUND" } };
  }
  const { dataset_id, primary, metadata } = dataset;
  const plain: ConfiguredDataset = { dataset_id, primary, metadata, deleted };
  return { status: id === "" ? 201 : 200, body: { ...plain, ...Object(body) } };
}

export const nodeA = "1acbab49-d4e5-4f60-8a7b-9c0d1e2f3a4b";
export const nodeB = "5f3d2f4e-6c3a-4d9b-8f21-5a4c3b2d1e0f";

export function testNode(uuid: string, host: string, change: Partial<NodeView> = {}): NodeView {
  return {
    uuid,
    host,
    era: null,
    status: "connected",
    pools: [],
    last_seen: null,
    condition: null,
    ...change,
  };
}

export function testDataset(id: string, change: Partial<DatasetView> = {}): DatasetView {
  return {
    dataset_id: id,
    name: null,
    metadata: {},
    primary: nodeA,
    maximum_size: null,
    size: 10 * 2 ** 30,
    pool: "default",
    fs: "ext4",
    reclaim: "trash",
    deleted: false,
    phase: "pending",
    node: null,
    path: null,
    claim: null,
    volume: { kind: "never", ref: null },
    formatted: false,
    op: null,
    move: null,
    copies: [],
    from: null,
    users: [],
    notice: null,
    condition: null,
    revision: 7,
    ...change,
  };
}
