import { randomUUID } from "node:crypto";
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestCluster, makeTestCluster } from "../../src/ca/test-cluster.ts";
import { loadTls, type TlsFiles } from "../../src/ca/tls.ts";
import { type ControlService, startControlService } from "../../src/control/service.ts";
import { TestAgent, testHello } from "../../src/control/test-agent.ts";
import { parseNodeId } from "../../src/domain/ids.ts";
import { exec } from "../../src/lib/exec.ts";
import { silentLogger } from "../../src/lib/log.ts";

const main = join(import.meta.dirname, "../../src/main");
const yearMs = 365 * 86_400_000;

let directory: string;
let cluster: TestCluster;
let foreign: TestCluster;
let expired: TestCluster;
let service: ControlService;
let agent: TestAgent;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "flocker-bad-input-"));
  chmodSync(directory, 0o755);
  cluster = await makeTestCluster();
  foreign = await makeTestCluster();
  expired = await makeTestCluster(Date.now() - 30 * yearMs);
  service = await startControlService({
    dataPath: join(directory, "store"),
    certificatesDirectory: filesFor("control-service", cluster.control),
    rest: { host: "127.0.0.1", port: 0 },
    agents: { host: "127.0.0.1", port: 0 },
    machineId: "machine",
    acceptCopy: false,
    newId: randomUUID,
    nowMs: Date.now,
    log: silentLogger,
    failed: (reason) => {
      throw reason;
    },
  });
  agent = await TestAgent.connect(service.agentPort, cluster.node);
  agent.send(testHello(parseNodeId(cluster.nodeId), await clusterId()));
  await agent.until("welcome");
});
afterAll(async () => {
  agent[Symbol.dispose]();
  await service[Symbol.asyncDispose]();
  for (const one of [cluster, foreign, expired]) await one[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function clusterId(): Promise<string> {
  return (await loadTls(cluster.node, "node")).cluster ?? "";
}

/** A directory in the form of /etc/flocker. */
function filesFor(name: "control-service" | "node" | "user", files: TlsFiles): string {
  const path = mkdtempSync(join(directory, "etc-"));
  copyFileSync(files.authority, join(path, "cluster.crt"));
  copyFileSync(files.certificate, join(path, `${name}.crt`));
  copyFileSync(files.key, join(path, `${name}.key`));
  return path;
}

type Ran = { readonly status: number; readonly out: string; readonly err: string };

/** A program of ours as a person starts it. */
async function run(program: string, args: readonly string[], before: string[] = []): Promise<Ran> {
  const line = [...before, process.execPath, join(main, `${program}.ts`), ...args];
  const [command = "", ...rest] = line;
  const options = { deadlineMs: 60_000, okStatuses: [1, 2, 70] };
  const { status, stdout, stderr } = await exec(command, rest, options);
  return { status, out: stdout, err: stderr };
}

async function ctl(files: TlsFiles, ...args: string[]): Promise<Ran> {
  const port = ["--control-service", "127.0.0.1", "--control-port", String(service.restPort)];
  return await run("flockerctl", ["--certs-path", filesFor("user", files), ...port, ...args]);
}

/** One sentence on standard error, after nothing on standard output. */
function sentence(text: RegExp): object {
  const source = `^(?=[^\\n]*\\n(?:Try --help for usage details\\.\\n)?$).*(?:${text.source})`;
  return expect.stringMatching(new RegExp(source, text.flags));
}

describe("an agent that cannot start says why in one sentence, and exits with 1", () => {
  const whole = 'version: 1\ncontrol-service: {hostname: "h"}\n';
  test.each<readonly [string, string | Buffer, RegExp]>([
    ["broken YAML", "version: 1\npools: {default: {backend\n", /agent\.yml:\d+:\d+: /],
    ["no text", Buffer.from([0, 1, 255, 254, 91]), /Configuration error: \S*agent\.yml/],
    ["an empty file", "", /Configuration error/],
    ["a list", "- version\n", /must be a mapping/],
    ["no pool", `${whole}pools: {}\n`, /must describe at least one pool/],
    ["pools of a wrong type", `${whole}pools: 7\n`, /Key pools must be a mapping/],
    ["a port of a wrong type", whole.replace('"h"', '"h", port: "x"'), /port must be a whole num/],
    ["a size of a wrong type", `${whole}pools: {p: {backend: b, default_size: "1e9"}}\n`, /bytes/],
    ["a long name", `${whole}pools: {${"p".repeat(65)}: {backend: b}}\n`, /no name of a pool/],
  ])("%s", async (_, text, why) => {
    const path = filesFor("node", cluster.node);
    writeFileSync(join(path, "agent.yml"), text);
    const ran = await run("flocker", ["agent", "--agent-config", join(path, "agent.yml")]);
    expect(ran).toEqual({ status: 1, out: "", err: sentence(why) });
  });

  test("no configuration, no certificate, no root", async () => {
    const path = mkdtempSync(join(directory, "etc-"));
    const config = join(path, "agent.yml");
    const start = ["agent", "--agent-config", config];
    expect(await run("flocker", start)).toEqual({
      status: 1,
      out: "",
      err: sentence(/agent\.yml cannot be read/),
    });
    writeFileSync(config, `${whole}pools: {default: {backend: loopback, root_path: /nowhere}}\n`);
    expect(await run("flocker", start)).toEqual({
      status: 1,
      out: "",
      err: sentence(/cluster\.crt is missing: `flocker-ca/),
    });
    const user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    // The checkout may be below /root, which others cannot read.
    const reads = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"];
    const nobody = ["setpriv", ...user, ...reads];
    expect(await run("flocker", start, nobody)).toEqual({
      status: 1,
      out: "",
      err: sentence(/must run as root/),
    });
  });

  test.each<readonly [string, () => TlsFiles, RegExp]>([
    ["an expired certificate", () => expired.node, /expired on/],
    ["a user's certificate", () => cluster.user, /a node certificate belongs there/],
    [
      "a certificate of another cluster",
      () => ({ ...foreign.node, authority: cluster.node.authority }),
      /belongs to another cluster/,
    ],
    ["another one's key", () => ({ ...cluster.node, key: cluster.user.key }), /not the key of/],
  ])("%s", async (_, files, why) => {
    const path = filesFor("node", files());
    writeFileSync(join(path, "agent.yml"), `${whole}pools: {default: {backend: loopback}}\n`);
    const ran = await run("flocker", ["agent", "--agent-config", join(path, "agent.yml")]);
    expect(ran).toEqual({ status: 1, out: "", err: sentence(why) });
  });
});

describe("a control service that cannot start says why in one sentence", () => {
  test("a port that is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const store = join(directory, "store-of-taken");
    const etc = filesFor("control-service", cluster.control);
    const places = ["--data-path", store, "--certificates-directory", etc];
    const listen = ["--port", `tcp:${port}:interface=127.0.0.1`, "--agent-port", "0"];
    const ran = await run("flocker", ["control", ...places, ...listen]);
    taken.close();
    expect(ran).toEqual({ status: 1, out: "", err: sentence(/is taken/) });
  });

  test.each<readonly [string, () => TlsFiles, RegExp]>([
    ["an expired certificate", () => expired.control, /expired on/],
    ["a node's certificate", () => cluster.node, /a control certificate belongs there/],
  ])("%s", async (_, files, why) => {
    const etc = filesFor("control-service", files());
    const places = ["--data-path", join(directory, "never"), "--certificates-directory", etc];
    const ran = await run("flocker", ["control", ...places]);
    expect(ran).toEqual({ status: 1, out: "", err: sentence(why) });
    expect(readdirSync(directory)).not.toContain("never");
  });

  test.each([
    ["control", "--colour", "red"],
    ["control", "--port", "99999"],
    ["control", "extra"],
    ["recover"],
  ])("wrong usage: flocker %s %s", async (...args) => {
    expect(await run("flocker", args)).toMatchObject({ status: 2, out: "" });
  });
});

describe("flockerctl refuses in one sentence, and nothing is created", () => {
  test.each<readonly [readonly string[], number, RegExp]>([
    [["create", "--name", "n", "--size", "0"], 2, /a size of '0' holds nothing/],
    [["create", "--name", "n", "--size", "1"], 1, /1048576|size/],
    [["create", "--name", "n", "--size", "1e9"], 2, /1e9/],
    [["create", "--name", "n", "--size", "9223372036854775808"], 2, /size|bytes|large/],
    [["create", "--name", "n", "--size", "-5"], 2, /./],
    [["create", "--name", "x".repeat(300), "--size", "1G"], 1, /name/],
    [["create", "--name", "n", "--colour", "red"], 2, /unknown option '--colour'/],
    [["create", "--name", "n", "--pool", "nonesuch"], 1, /nonesuch/],
    [["create", "--name", "n", "--fs", "vfat"], 2, /vfat/],
    [["move", "--dataset", "zzz", "--destination", "zzz"], 1, /zzz/],
    [["destroy", "--dataset", ""], 2, /./],
  ])("%j", async (args, status, why) => {
    const node = args[0] === "create" ? ["--node", cluster.nodeId] : [];
    expect(await ctl(cluster.user, ...args, ...node)).toEqual({
      status,
      out: "",
      err: sentence(why),
    });
    expect((await ctl(cluster.user, "ls", "--json")).out).toContain('"datasets":[]');
  });

  test.each<readonly [string, () => TlsFiles, RegExp]>([
    ["an expired certificate", () => expired.user, /expired on/],
    ["a node's certificate", () => cluster.node, /user certificate belongs there/],
    ["another cluster's certificates", () => foreign.user, /certificate|cluster/],
  ])("%s", async (_, files, why) => {
    expect(await ctl(files(), "ls")).toEqual({ status: 1, out: "", err: sentence(why) });
  });
});

const curl = async (files: TlsFiles, path: string, body: string): Promise<Ran> => {
  const tls = ["--cacert", files.authority, "--cert", files.certificate, "--key", files.key];
  const url = `https://127.0.0.1:${service.restPort}/v1/${path}`;
  const send = body === "" ? [] : ["-d", body.replace("NODE", cluster.nodeId)];
  const options = { deadlineMs: 20_000, okStatuses: [35, 52, 55, 56, 60] };
  const args = ["-s", "-w", "\n%{http_code}", ...tls, ...send, url];
  const { status, stdout, stderr } = await exec("curl", args, options);
  return { status, out: stdout, err: stderr };
};

describe("the control service refuses a peer that is not who it says", () => {
  const bodies: readonly (readonly [string, string])[] = [
    ["a body that is no JSON", '{"primary": '],
    ["a body that is a list", "[]"],
    ["no primary", "{}"],
    ["an unknown key", '{"primary": "NODE", "colour": "red"}'],
    ["a size of a wrong type", '{"primary": "NODE", "maximum_size": "1e9"}'],
    ["a size of 0", '{"primary": "NODE", "maximum_size": 0}'],
    ["a size of 1", '{"primary": "NODE", "maximum_size": 1}'],
    ["a size of 2^63", '{"primary": "NODE", "maximum_size": 9223372036854775808}'],
    ["a long name", `{"primary": "NODE", "metadata": {"name": "${"x".repeat(257)}"}}`],
  ];

  test.each(bodies)("%s is a 400 with a description, and nothing is created", async (_, body) => {
    const { out } = await curl(cluster.user, "configuration/datasets", body);
    expect(out).toMatch(/^\{"description":"[^"]+.*\}\n400$/);
    expect((await curl(cluster.user, "configuration/datasets", "")).out).toBe("[]\n200");
  });

  test("a node's certificate, and one of another cluster, get no answer of the REST API", async () => {
    for (const files of [cluster.node, { ...foreign.user, authority: cluster.user.authority }]) {
      const { out } = await curl(files, "configuration/datasets", "");
      expect(out).not.toMatch(/\n200$/);
    }
  });

  test("a node that speaks for another is told so and closed; the other one's session goes on", async () => {
    using liar = await TestAgent.connect(service.agentPort, cluster.node);
    liar.send(testHello(parseNodeId(foreign.nodeId), await clusterId()));
    const { message } = await liar.until("refused");
    expect(message).toContain(`does not speak for node ${foreign.nodeId}`);
    await liar.untilClosed();
    await expect(TestAgent.connect(service.agentPort, cluster.user)).rejects.toThrow(/./);
    expect(agent.closed).toBe(false);
  });
});
