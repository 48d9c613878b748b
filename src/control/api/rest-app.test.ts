import { once } from "node:events";
import { type RequestOptions, request } from "node:https";
import { connect, type TlsOptions } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Check } from "typebox/value";
import { makeTestCluster, type TestCluster } from "../../ca/test-cluster.ts";
import { clientTls, loadTls, serverTls, type TlsFiles } from "../../ca/tls.ts";
import { FlockerError } from "../../lib/errors.ts";
import { silentLogger } from "../../lib/log.ts";
import { errorBody } from "../../protocol/api.ts";
import { createRestApp } from "./rest-app.ts";
import { absentId, configuration, testApi } from "./test-api.ts";
import { nodeA, TestControl } from "./test-control.ts";

let cluster: TestCluster;
let tls: TlsOptions;
beforeAll(async () => {
  cluster = await makeTestCluster();
  tls = serverTls(await loadTls(cluster.control, "control"), "TLSv1.2");
});
afterAll(() => cluster[Symbol.asyncDispose]());

const all = configuration;
const absent = absentId;

describe("transport", () => {
  test("R25, R26, R27 bodies of GET and DELETE are ignored, whatever they are", async () => {
    const { say } = testApi();
    await say("POST", all, { primary: nodeA, dataset_id: absent });
    expect(await say("GET", all, { junk: 1 })).toMatchObject({ status: 200 });
    expect(await say("GET", "/v1/version", "{no json")).toMatchObject({ status: 200 });
    expect(await say("DELETE", `${all}/${absent}`, "{no json")).toMatchObject({ status: 200 });
  });

  test("R29 a wrong method is 405 with Allow, an unknown path 404", async () => {
    const { say } = testApi();
    expect(await say("DELETE", all)).toMatchObject({
      status: 405,
      allow: "GET, HEAD, POST",
      body: { code: "METHOD_NOT_ALLOWED" },
    });
    expect(await say("GET", `${all}/${absent}`)).toMatchObject({
      status: 405,
      allow: "POST, DELETE",
    });
    expect(await say("PUT", "/v1/version", {})).toMatchObject({ status: 405, allow: "GET, HEAD" });
    for (const path of ["/", "/v1", "/v1/version/", "/v2/version", "/v1/Version", "/v1/%00"]) {
      expect(await say("GET", path)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    }
    expect(await say("GET", "/v1/datasets/%zz")).toMatchObject({ status: 400 });
    expect(await say("GET", `/v1/datasets/${"x".repeat(4_000)}`)).toMatchObject({ status: 404 });
    expect(await say("HEAD", "/v1/version")).toMatchObject({ status: 200 });
  });

  test("every failure is one flat object, a bug of ours included, and tells no secrets", async () => {
    const { say, control } = testApi();
    control.failure = new TypeError("undefined is not a secret");
    const said = await say("GET", all);
    expect(said).toMatchObject({ status: 500, body: { code: "INTERNAL" } });
    expect(Check(errorBody, said.body)).toBe(true);
    expect(JSON.stringify(said.body)).not.toContain("secret");
    control.failure = new FlockerError("STORE_FULL", "The disk is full.");
    expect(await say("POST", all, { primary: nodeA })).toMatchObject({ status: 507 });
    control.failure = new FlockerError("READ_ONLY", "STORE_WENT_BACK: recover.");
    expect(await say("POST", all, { primary: nodeA })).toMatchObject({ status: 503 });
  });

  test("a body over the limit is 413", async () => {
    const { say } = testApi();
    const metadata = { k: "x".repeat(2 ** 20) };
    expect(await say("POST", all, { primary: nodeA, metadata })).toMatchObject({
      status: 413,
      body: { code: "BODY_TOO_LARGE" },
    });
  });

  test("more requests at one time than the limit are 429, and later ones are answered", async () => {
    const { say } = testApi({ inFlightMax: 2 });
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => say("GET", all)));
    const statuses = answers.map(({ status }) => status).sort((a, b) => a - b);
    expect(statuses).toEqual([200, 200, 429, 429, 429]);
    for (let n = 0; n < 5; n += 1) expect((await say("GET", all)).status).toBe(200);
  });
});

const ask = async (
  files: TlsFiles,
  role: "user" | "node",
  options: RequestOptions,
  body?: string,
): Promise<{ status: number; text: string }> => {
  const credentials = await loadTls(files, role);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", agent: false, ...clientTls(credentials, "TLSv1.2"), ...options },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
};

describe("over TLS", () => {
  test("a user is served, a node is closed, large headers are 431, idle clients are kept", async () => {
    const app = createRestApp({ control: new TestControl(), log: silentLogger, tls });
    await app.listen({ port: 0, host: "127.0.0.1" });
    const port = Number(new URL(app.listeningOrigin).port);
    try {
      expect(app.server.keepAliveTimeout).toBe(0);
      const made = await ask(
        cluster.user,
        "user",
        { port, method: "POST", path: all },
        JSON.stringify({ primary: nodeA }),
      );
      expect(made.status).toBe(201);
      expect(JSON.parse(made.text)).toMatchObject({ primary: nodeA, deleted: false });
      const headers = { "x-long": "x".repeat(20_000) };
      const long431 = await ask(cluster.user, "user", { port, path: all, headers });
      expect(long431.status).toBe(431);
      expect(Check(errorBody, JSON.parse(long431.text))).toBe(true);
      await expect(ask(cluster.node, "node", { port, path: all })).rejects.toMatchObject({
        code: "ECONNRESET",
      });
    } finally {
      await app.close();
    }
  });

  test("a connection on which nothing is asked does not keep the API from closing", async () => {
    const limits = { closeMsMax: 50 };
    const app = createRestApp({ control: new TestControl(), log: silentLogger, tls, limits });
    await app.listen({ port: 0, host: "127.0.0.1" });
    const port = Number(new URL(app.listeningOrigin).port);
    const credentials = await loadTls(cluster.user, "user");
    const options = { host: "127.0.0.1", port, ...clientTls(credentials, "TLSv1.2") };
    const silent = connect(options);
    await once(silent, "secureConnect");
    const ended = once(silent, "close");
    await app.close();
    await ended;
    expect(app.server.listening).toBe(false);
  });
});
