import { createServer } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeTestCluster } from "../ca/test-cluster.ts";
import { type TlsFiles, clientTls, loadTls } from "../ca/tls.ts";
import { type ApiClient, createApiClient } from "../client/api-client.ts";
import {
  type TestControlService,
  nodeA,
  startTestControlService,
  testDataset,
  testNode,
} from "./test-control-service.ts";

const id = "5540d6e3-392b-4da0-828a-34b724c5bb80";
let service: TestControlService;

beforeAll(async () => {
  service = await startTestControlService();
});
afterAll(async () => service[Symbol.asyncDispose]());
beforeEach(() => {
  service.reply = null;
  service.nodes = [testNode(nodeA, "10.0.0.1")];
  service.datasets = [testDataset(id)];
});

async function client(change: object = {}, files: TlsFiles = service.cluster.user) {
  const tls = clientTls(
    await loadTls(files, files === service.cluster.node ? "node" : "user"),
    "TLSv1.2",
  );
  return createApiClient({ host: "127.0.0.1", port: service.port, tls, ...change });
}

async function refused(api: ApiClient): Promise<unknown> {
  using disposed = api;
  return await disposed.version();
}

describe("the client", () => {
  test("gives lists of the old resources as they are", async () => {
    using api = await client();
    service.reply = { status: 200, body: [{ dataset_id: id, primary: nodeA, path: "/flocker/x" }] };
    expect(await api.listStateDatasets()).toEqual([
      { dataset_id: id, primary: nodeA, path: "/flocker/x" },
    ]);
    service.reply = { status: 200, body: [{ uuid: nodeA, host: "10.0.0.1" }] };
    expect(await api.listNodesState()).toEqual([{ uuid: nodeA, host: "10.0.0.1" }]);
    service.reply = { status: 200, body: [] };
    expect(await api.listConfiguration()).toEqual([]);
  });

  test("asks page after page", async () => {
    using api = await client();
    const ids = [0, 1, 2, 3, 4].map((digit) => id.replace(/^./, String(digit)));
    service.datasets = ids.map((each) => testDataset(each));

    const { datasets } = await api.listAllDatasets();

    expect(datasets.map(({ dataset_id: each }) => each)).toEqual(ids);
    expect((await api.listDatasets({ limit: 2, after: "2" })).next).toBe("4");
  });

  test("takes code and description from the control service", async () => {
    using api = await client();
    service.datasets = [];
    await expect(api.moveDataset(id, nodeA)).rejects.toMatchObject({
      code: "DATASET_NOT_FOUND",
      message: "Dataset not found.",
    });
  });

  test("takes the nearest code when an old one sends none", async () => {
    using api = await client();
    service.reply = { status: 404, body: { description: "Dataset not found." } };
    await expect(api.dataset(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
    service.reply = { status: 500, body: "7c1f0b9c@/2" };
    await expect(api.dataset(id)).rejects.toMatchObject({ code: "INTERNAL" });
  });
});

describe("a control service that cannot be asked", () => {
  test("says nothing: the deadline ends the wait", async () => {
    service.reply = "silence";
    await expect(refused(await client({ deadlineMs: 100 }))).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      message: expect.stringContaining("did not answer within 0.1 s"),
    });
  });

  test("is not there", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const address = holder.address();
    holder.close();
    await once(holder, "close");
    const port = typeof address === "object" ? address?.port : 0;
    await expect(refused(await client({ port }))).rejects.toThrow("nothing listens there");
  });

  test("does not take a node's certificate", async () => {
    await expect(refused(await client({}, service.cluster.node))).rejects.toThrow(
      "takes user certificates of its own cluster only",
    );
  });

  test("belongs to another cluster", async () => {
    await using other = await makeTestCluster();
    await expect(refused(await client({}, other.user))).rejects.toMatchObject({
      code: "CERTIFICATE_INVALID",
      message: expect.stringContaining("has a certificate of another cluster"),
    });
  });

  test("an abort is the caller's own, and passes through", async () => {
    service.reply = "silence";
    const signal = AbortSignal.abort();
    await expect(refused(await client({ signal }))).rejects.toMatchObject({ name: "AbortError" });
  });
});
