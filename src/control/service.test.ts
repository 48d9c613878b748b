import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { type Server, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNodeCredential } from "../ca/create-credential.ts";
import { type TestCluster, makeTestCluster } from "../ca/test-cluster.ts";
import { type TlsFiles, clientTls, loadTls } from "../ca/tls.ts";
import { type NodeId, parseBootId, parseDatasetId, parseNodeId } from "../domain/ids.ts";
import type { FlockerError } from "../lib/errors.ts";
import { type Fields, type Logger, silentLogger } from "../lib/log.ts";
import type { DatasetView } from "../protocol/api.ts";
import { type ControlService, type ServiceOptions, startControlService } from "./service.ts";
import { TestAgent, testHello } from "./test-agent.ts";

let cluster: TestCluster;
let clusterId: string;
let node: NodeId;
let other: { readonly files: TlsFiles; readonly node: NodeId };
let directories = 0;

beforeAll(async () => {
  cluster = await makeTestCluster();
  await copyFile(cluster.control.certificate, join(cluster.directory, "control-service.crt"));
  await copyFile(cluster.control.key, join(cluster.directory, "control-service.key"));
  clusterId = (await loadTls(cluster.node, "node")).cluster ?? "";
  node = parseNodeId(cluster.nodeId);
  const where = { input: cluster.directory, output: cluster.directory };
  const made = await createNodeCredential(where, Date.now());
  other = {
    node: parseNodeId(made.base),
    files: { authority: cluster.node.authority, certificate: made.certificate, key: made.key },
  };
});
afterAll(async () => cluster[Symbol.asyncDispose]());

const newDataPath = (): string => join(cluster.directory, `data-${(directories += 1)}`);

type Entry = { readonly event: string; readonly fields: Fields };
function recordingLogger(entries: Entry[]): Logger {
  const take = (event: string, fields: Fields = {}): void => void entries.push({ event, fields });
  const log: Logger = {
    error: take,
    warn: take,
    info: take,
    debug: take,
    child: () => log,
  };
  return log;
}

async function start(more: Partial<ServiceOptions> = {}): Promise<ControlService> {
  return await startControlService({
    dataPath: newDataPath(),
    certificatesDirectory: cluster.directory,
    rest: { host: "127.0.0.1", port: 0 },
    agents: { host: "127.0.0.1", port: 0 },
    machineId: "machine-1",
    acceptCopy: false,
    newId: randomUUID,
    nowMs: Date.now,
    log: silentLogger,
    failed: (reason: FlockerError) => {
      throw reason;
    },
    ...more,
  });
}

type Answer = { readonly status: number; readonly body: unknown };
async function ask(
  { restPort }: ControlService,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const tls = clientTls(await loadTls(cluster.user, "user"), "TLSv1.2");
  return await new Promise((resolve, reject) => {
    const call = request(
      { host: "127.0.0.1", port: restPort, method, path, agent: false, ...tls },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () => {
          const text = Buffer.concat(parts).toString("utf8");
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
        });
      },
    );
    call.on("error", reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function joined(service: ControlService, more = {}, how = {}): Promise<TestAgent> {
  const agent = await TestAgent.connect(service.agentPort, cluster.node, how);
  agent.send(testHello(node, clusterId, more));
  await agent.until("welcome");
  return agent;
}

const viewOf = async (service: ControlService, id: string): Promise<DatasetView> => {
  const { body } = await ask(service, "GET", `/v1/datasets/${id}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the API's tests check it
  return body as DatasetView;
};

describe("a control service that runs", () => {
  test("an agent is welcomed, told everything, and listed as connected", async () => {
    await using service = await start();
    using agent = await joined(service);

    expect(await agent.until("welcome")).toMatchObject({ session: 1, mode: { kind: "normal" } });
    expect(await agent.until("records")).toMatchObject({ all: true, entries: [] });
    expect(await agent.until("names")).toMatchObject({ entries: [] });
    const { body } = await ask(service, "GET", "/v1/nodes");
    expect(body).toMatchObject({
      nodes: [{ uuid: node, host: "10.77.0.1", status: "connected", condition: null }],
    });
    expect((await ask(service, "GET", "/v1/state/nodes")).body).toEqual([
      { host: "10.77.0.1", uuid: node },
    ]);
  });

  test("a dataset is created once its name is stored, granted, shown as attached", async () => {
    await using service = await start();
    using agent = await joined(service);

    const wanted = { primary: node, metadata: { name: "db" }, maximum_size: 104857600 };
    const made = await ask(service, "POST", "/v1/configuration/datasets", wanted);

    expect(made).toMatchObject({ status: 201, body: { primary: node, maximum_size: 104857600 } });
    const names = await agent.until("names", ({ entries }) => entries.length === 1);
    const datasetId = names.entries[0]?.datasetId ?? parseDatasetId("");
    const told = await agent.until("records", ({ entries }) => entries.length === 1);
    expect(told.entries[0]?.record.claim).toMatchObject({ node, generation: 1 });
    expect(await viewOf(service, datasetId)).toMatchObject({
      phase: "pending",
      condition: { code: "WORKING", severity: "pending" },
    });

    const observation = { datasetId, state: "shown", path: `/flocker/${datasetId}` };
    const nothing = { condition: null, users: [], holders: [] };
    agent.send({
      kind: "observed",
      observations: [
        { ...observation, shown: true, usedBytes: null, progress: null, copies: [], ...nothing },
      ],
    });
    await expect
      .poll(async () => await viewOf(service, datasetId), { timeout: 5_000 })
      .toMatchObject({
        phase: "attached",
        node,
        path: `/flocker/${datasetId}`,
        condition: null,
      });
    expect((await ask(service, "GET", "/v1/state/datasets")).body).toEqual([
      {
        dataset_id: datasetId,
        primary: node,
        path: `/flocker/${datasetId}`,
        maximum_size: 104857600,
      },
    ]);
  });

  test("what was acknowledged is there after a restart, in the next term", async () => {
    const dataPath = newDataPath();
    let datasetId: unknown;
    {
      await using service = await start({ dataPath });
      using agent = await joined(service);
      expect((await agent.until("welcome")).at.term).toBe(1);
      const wanted = { primary: node, metadata: { name: "kept" } };
      const { body } = await ask(service, "POST", "/v1/configuration/datasets", wanted);
      datasetId =
        typeof body === "object" && body !== null && "dataset_id" in body && body.dataset_id;
    }
    await using service = await start({ dataPath });
    using agent = await joined(service);
    expect(await agent.until("welcome")).toMatchObject({ session: 2, at: { term: 2 } });
    expect((await agent.until("names")).entries).toEqual([{ name: "kept", datasetId }]);
  });

  test("what is in the trash is there after a restart, and comes back under another name", async () => {
    const dataPath = newDataPath();
    const datasetId = parseDatasetId(randomUUID());
    {
      await using service = await start({ dataPath });
      using agent = await joined(service);
      const wanted = { primary: node, dataset_id: datasetId, metadata: { name: "db" } };
      await ask(service, "POST", "/v1/configuration/datasets", wanted);
      await ask(service, "DELETE", `/v1/configuration/datasets/${datasetId}`);
      agent.send({ kind: "release_begun", datasetId, generation: 1 });
      agent.send({ kind: "report", datasetId, report: { kind: "released", generation: 1 } });
      await expect
        .poll(async () => (await ask(service, "GET", "/v1/trash")).body, { timeout: 5_000 })
        .toMatchObject({ datasets: [{ dataset_id: datasetId, name: "db", phase: "trashed" }] });
    }
    await using service = await start({ dataPath });
    using agent = await joined(service);
    const path = `/v1/trash/${datasetId}`;
    const restored = await ask(service, "POST", `${path}/restore`, { as: "db2" });
    expect(restored).toMatchObject({ status: 200, body: { name: "db2", deleted: false } });
    await agent.until("names", ({ entries }) => entries.some(({ name }) => name === "db2"));
    expect(await ask(service, "POST", `${path}/purge`)).toMatchObject({
      status: 409,
      body: { code: "NOT_IN_TRASH" },
    });
    expect((await ask(service, "GET", "/v1/trash")).body).toEqual({ datasets: [], next: null });
  });

  test("one node's certificate does not speak for another node", async () => {
    const entries: Entry[] = [];
    await using service = await start({ log: recordingLogger(entries) });
    using agent = await TestAgent.connect(service.agentPort, other.files);

    agent.send(testHello(node, clusterId));

    expect(await agent.until("refused")).toMatchObject({ code: "PROTOCOL_ERROR" });
    await agent.untilClosed();
    const lines = entries.filter(({ event }) => event === "connection.refused");
    expect(lines).toHaveLength(1);
    expect(lines[0]?.fields["reason"]).toContain(`does not speak for node ${node}`);
    expect((await ask(service, "GET", "/v1/nodes")).body).toEqual({ nodes: [] });
  });

  test("a session that was replaced changes nothing any more", async () => {
    await using service = await start({ gatewayLimits: { probeMsMax: 100 } });
    const boot = { bootId: parseBootId(randomUUID()), instance: randomUUID() };
    using first = await joined(service, boot, { autoPong: false });
    const wanted = { primary: node, metadata: { name: "db" } };
    await ask(service, "POST", "/v1/configuration/datasets", wanted);
    const { entries } = await first.until("records", (told) => told.entries.length === 1);
    const record = entries[0]?.record;
    using second = await joined(service, boot);

    const datasetId = record?.datasetId ?? parseDatasetId("");
    first.send({ kind: "report", datasetId, report: { kind: "released", generation: 1 } });
    second.send({ kind: "taken", datasetId, generation: 1 });

    await first.untilClosed();
    await expect
      .poll(async () => (await viewOf(service, datasetId)).claim, { timeout: 5_000 })
      .toEqual({ node, generation: 1, phase: "taken" });
  });

  test("a second machine with the same certificate is a clash while the first answers", async () => {
    await using service = await start();
    using first = await joined(service);
    using clone = await TestAgent.connect(service.agentPort, cluster.node);

    clone.send(testHello(node, clusterId));

    expect(await clone.until("refused")).toMatchObject({ code: "NODE_ID_CLASH" });
    await first.until("mode", ({ condition }) => condition?.code === "NODE_ID_CLASH");
    expect((await ask(service, "GET", "/v1/nodes")).body).toMatchObject({
      nodes: [{ status: "clash", condition: { code: "NODE_ID_CLASH" } }],
    });
  });

  test("a restarted agent gets in when its old connection does not answer", async () => {
    await using service = await start({ gatewayLimits: { probeMsMax: 100 } });
    using old = await TestAgent.connect(service.agentPort, cluster.node, { autoPong: false });
    const boot = { bootId: parseBootId(randomUUID()) };
    old.send(testHello(node, clusterId, boot));
    await old.until("welcome");

    using next = await joined(service, boot);

    expect((await next.until("welcome")).session).toBe(2);
    await old.untilClosed();
  });

  test("an agent that does not answer pings is dropped and shown as silent", async () => {
    const gatewayLimits = { beatMs: 20, beatsUnheardMax: 3 };
    await using service = await start({ gatewayLimits });
    using agent = await TestAgent.connect(service.agentPort, cluster.node, { autoPong: false });
    agent.acks = false;
    agent.send(testHello(node, clusterId));

    await agent.untilClosed();

    await expect
      .poll(async () => (await ask(service, "GET", "/v1/nodes")).body, { timeout: 5_000 })
      .toMatchObject({ nodes: [{ status: "silent", condition: { code: "WAITING_FOR_NODE" } }] });
    expect((await ask(service, "GET", "/v1/state/nodes")).body).toHaveLength(1);
  });
});

describe("peers that break the protocol", () => {
  test.each([
    ["not JSON", "{", "not JSON"],
    ["an unknown kind", `{"kind":"steal"}`, "unknown kind steal"],
    ["something before the hello", `{"kind":"ack","revision":1}`, "before the hello"],
  ])("%s is answered with a sentence and closed", async (_, text, says) => {
    await using service = await start();
    using agent = await TestAgent.connect(service.agentPort, cluster.node);

    agent.socket.send(text);

    expect((await agent.until("refused")).message).toContain(says);
    await agent.untilClosed();
  });

  test("too large a message, binary, silence and another path are closed", async () => {
    const gatewayLimits = { messageBytesMax: 1_000, helloMsMax: 200 };
    await using service = await start({ gatewayLimits });
    using large = await TestAgent.connect(service.agentPort, cluster.node);
    large.socket.send("x".repeat(1_001));
    using binary = await TestAgent.connect(service.agentPort, cluster.node);
    binary.socket.send(Buffer.from("{}"));
    using silent = await TestAgent.connect(service.agentPort, cluster.node);

    await Promise.all([large.untilClosed(), binary.untilClosed(), silent.untilClosed()]);
    const path = { path: "/other" };
    await expect(TestAgent.connect(service.agentPort, cluster.node, path)).rejects.toThrow("404");
  });

  test("more hellos at a time than may be are told to come back", async () => {
    await using service = await start({ gatewayLimits: { hellosMax: 1 } });
    using first = await TestAgent.connect(service.agentPort, cluster.node);

    await expect(TestAgent.connect(service.agentPort, other.files)).rejects.toThrow("503");

    first.send(testHello(node, clusterId));
    await first.until("welcome");
    using second = await TestAgent.connect(service.agentPort, other.files);
    second.send(testHello(other.node, clusterId));
    await second.until("welcome");
  });

  test("an agent that floods is slowed down, not lost", async () => {
    const gatewayLimits = { messagesBurst: 20, messagesPerSecond: 1_000 };
    await using service = await start({ gatewayLimits });
    using agent = await joined(service);

    for (let id = 0; id < 200; id += 1) {
      agent.send({ kind: "request", id, request: { kind: "lookup", name: "none" } });
    }

    expect(await agent.until("answer", ({ id }) => id === 199)).toBeDefined();
  });
});

async function taken(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return { server, port: typeof address === "object" ? (address?.port ?? 0) : 0 };
}

describe("a control service that cannot start says why", () => {
  test.each(["rest", "agents"] as const)("the port of %s is taken", async (which) => {
    const { server, port } = await taken();
    const dataPath = newDataPath();
    await expect(start({ dataPath, [which]: { host: "127.0.0.1", port } })).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: expect.stringContaining(`Port ${port} is taken`),
    });
    server.close();
    await using service = await start({ dataPath });
    expect(service.restPort).toBeGreaterThan(0);
  });

  test("certificates that are missing", async () => {
    await expect(start({ certificatesDirectory: "/nowhere" })).rejects.toMatchObject({
      code: "CERTIFICATE_INVALID",
      message: expect.stringMatching(/^\/nowhere\/cluster.crt is missing: .*flocker-ca initialize/),
    });
  });

  test("certificates that expired", async () => {
    await expect(start({ nowMs: () => Date.now() + 100 * 365 * 86_400_000 })).rejects.toThrow(
      "expired",
    );
  });

  test("the certificate of a node in place of the control service's", async () => {
    const directory = join(cluster.directory, "wrong-role");
    await mkdir(directory);
    await copyFile(cluster.node.authority, join(directory, "cluster.crt"));
    await copyFile(cluster.node.certificate, join(directory, "control-service.crt"));
    await copyFile(cluster.node.key, join(directory, "control-service.key"));
    await expect(start({ certificatesDirectory: directory })).rejects.toThrow(
      "a control certificate belongs there",
    );
  });

  test("a data path that is a file", async () => {
    const dataPath = newDataPath();
    await writeFile(dataPath, "");
    await expect(start({ dataPath })).rejects.toMatchObject({
      code: "CONFIGURATION_INVALID",
      message: expect.stringContaining(`The data path ${dataPath} cannot be used`),
    });
  });

  test("a store of another machine", async () => {
    const dataPath = newDataPath();
    await (await start({ dataPath }))[Symbol.asyncDispose]();
    await expect(start({ dataPath, machineId: "machine-2" })).rejects.toMatchObject({
      code: "STORE_COPIED",
    });
    await using service = await start({ dataPath, machineId: "machine-2", acceptCopy: true });
    const wanted = { primary: node };
    expect(await ask(service, "POST", "/v1/configuration/datasets", wanted)).toMatchObject({
      status: 503,
      body: { code: "READ_ONLY" },
    });
  });

  test("a store that another control service uses", async () => {
    const dataPath = newDataPath();
    await using _service = await start({ dataPath });
    await expect(start({ dataPath })).rejects.toThrow("Another control service uses the store");
  });

  test("a store of another cluster", async () => {
    const dataPath = newDataPath();
    await (await start({ dataPath }))[Symbol.asyncDispose]();
    await using foreign = await makeTestCluster();
    await copyFile(foreign.control.certificate, join(foreign.directory, "control-service.crt"));
    await copyFile(foreign.control.key, join(foreign.directory, "control-service.key"));
    await expect(start({ dataPath, certificatesDirectory: foreign.directory })).rejects.toThrow(
      "belongs to cluster",
    );
  });
});
