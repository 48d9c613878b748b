import { type Static, type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";
import {
  configuredDataset,
  type ConfiguredDataset,
  type CreateDataset,
  datasetPage,
  datasetView,
  type DatasetView,
  nodeList,
  type NodeView,
  observedDataset,
  type ObservedDataset,
  observedNode,
} from "../../src/protocol/api.ts";
import type { Cluster } from "./cluster.ts";

/** The REST API as a test sees it: each answer is checked against the published shape. */
export class Rest {
  readonly #cluster: Cluster;
  /** The host whose curl is used. */
  readonly #from: string;

  constructor(cluster: Cluster, from = "h1") {
    this.#cluster = cluster;
    this.#from = from;
  }

  async views(): Promise<readonly DatasetView[]> {
    const page = await this.#get("/v1/datasets?limit=1000", datasetPage);
    return page.datasets;
  }

  async view(name: string): Promise<DatasetView> {
    const found = (await this.views()).find((one) => one.name === name);
    if (found === undefined) throw new Error(`no dataset named ${name}`);
    return found;
  }

  configured(): Promise<readonly ConfiguredDataset[]> {
    return this.#get("/v1/configuration/datasets", Type.Array(configuredDataset));
  }

  observed(): Promise<readonly ObservedDataset[]> {
    return this.#get("/v1/state/datasets", Type.Array(observedDataset));
  }

  async nodeViews(): Promise<readonly NodeView[]> {
    return (await this.#get("/v1/nodes", nodeList)).nodes;
  }

  /** The node of a host, by the address that its agent tells. */
  async node(host: string): Promise<string> {
    const nodes = await this.#get("/v1/state/nodes", Type.Array(observedNode));
    const address = `10.77.0.${host.slice(1)}`;
    const found = nodes.find((one) => one.host === address);
    if (found === undefined) throw new Error(`no node at ${address}`);
    return found.uuid;
  }

  create(body: unknown): Promise<{ readonly status: number; readonly body: ConfiguredDataset }> {
    return this.#call("POST", "/v1/configuration/datasets", configuredDataset, body);
  }

  /** With a pool and whatever else the newer API knows. */
  async createDataset(body: CreateDataset): Promise<DatasetView> {
    return (await this.#call("POST", "/v1/datasets", datasetView, body)).body;
  }

  /** Deletes it and its volume, without the trash. */
  async purge(id: string): Promise<void> {
    await this.#call("DELETE", `/v1/configuration/datasets/${id}?purge=true`, configuredDataset);
  }

  move(id: string, primary: string): Promise<{ readonly status: number }> {
    return this.#call("POST", `/v1/configuration/datasets/${id}`, configuredDataset, { primary });
  }

  delete(id: string): Promise<{ readonly status: number; readonly body: ConfiguredDataset }> {
    return this.#call("DELETE", `/v1/configuration/datasets/${id}`, configuredDataset);
  }

  async #get<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>> {
    return (await this.#call("GET", path, schema)).body;
  }

  async #call<Schema extends TSchema>(
    method: string,
    path: string,
    schema: Schema,
    input?: unknown,
  ): Promise<{ readonly status: number; readonly body: Static<Schema> }> {
    const { status, body } = await this.#cluster.api(this.#from, method, path, input);
    if (!Compile(schema).Check(body)) {
      throw new Error(`${method} ${path}: ${status}: ${JSON.stringify(body)}`);
    }
    return { status, body };
  }
}
