import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestCluster, makeTestCluster } from "./test-cluster.ts";
import { type TlsFiles, loadTls } from "./tls.ts";

const nowMs = Date.now();
const yearMs = 365 * 24 * 3600 * 1000;
let cluster: TestCluster;
let other: TestCluster;

beforeAll(async () => {
  cluster = await makeTestCluster(nowMs);
  other = await makeTestCluster(nowMs);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

describe("loading certificates", () => {
  test("gives who they speak for and for which cluster", async () => {
    const user = await loadTls(cluster.user, "user");
    const control = await loadTls(cluster.control, "control");
    const node = await loadTls(cluster.node, "node");

    expect(user.identity).toEqual({ kind: "user", name: "user" });
    expect(control.identity).toEqual({ kind: "control" });
    expect(node.identity).toEqual({ kind: "node", nodeId: cluster.nodeId });
    expect(user.cluster).toBe(control.cluster);
  });

  test.each<[string, () => Partial<TlsFiles>, number, string]>([
    ["a missing file", () => ({ certificate: "/nowhere/user.crt" }), 0, "is missing: `flocker-ca"],
    ["a missing key", () => ({ key: "/nowhere/user.key" }), 0, "/nowhere/user.key is missing"],
    ["a directory", () => ({ authority: cluster.directory }), 0, "cannot be read: Is a directory"],
    ["no PEM", () => ({ certificate: cluster.user.key }), 0, "does not hold a certificate in PEM"],
    ["no key", () => ({ key: cluster.user.certificate }), 0, "an unencrypted private key"],
    ["an expired one", () => ({}), 21 * yearMs, "expired on 20"],
    ["one of the future", () => ({}), -3_600_000, "set the clock"],
    ["another authority", () => ({ authority: other.user.authority }), 0, "another cluster"],
    ["no authority", () => ({ authority: cluster.node.certificate }), 0, "certificate authority"],
    ["another key", () => ({ key: cluster.node.key }), 0, "is not the key of"],
    ["another role", () => cluster.node, 0, "but a user certificate belongs there"],
  ])("%s is one clear sentence", async (_, change, shiftMs, message) => {
    const loading = loadTls({ ...cluster.user, ...change() }, "user", nowMs + shiftMs);

    await expect(loading).rejects.toMatchObject({ code: "CERTIFICATE_INVALID" });
    await expect(loading).rejects.toThrow(message);
  });
});
