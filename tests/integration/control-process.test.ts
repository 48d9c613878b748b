import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestCluster, makeTestCluster } from "../../src/ca/test-cluster.ts";
import { clientTls, loadTls } from "../../src/ca/tls.ts";
import { TestAgent, testHello } from "../../src/control/test-agent.ts";
import { parseBootId, parseNodeId } from "../../src/domain/ids.ts";
import { exec } from "../../src/lib/exec.ts";

let cluster: TestCluster;
let clusterId: string;
let runs = 0;
const bootId = parseBootId(randomUUID());

beforeAll(async () => {
  cluster = await makeTestCluster();
  copyFileSync(cluster.control.certificate, join(cluster.directory, "control-service.crt"));
  copyFileSync(cluster.control.key, join(cluster.directory, "control-service.key"));
  clusterId = (await loadTls(cluster.node, "node")).cluster ?? "";
});
afterAll(async () => cluster[Symbol.asyncDispose]());

const program = join(import.meta.dirname, "../../src/main/flocker.ts");

class ControlProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly pidFile: string;
  readonly ended: Promise<number | null>;
  text = "";

  constructor(dataPath: string, before: readonly string[] = [], more: readonly string[] = []) {
    this.pidFile = join(cluster.directory, `run-${(runs += 1)}`, "control.pid");
    const options = { "data-path": dataPath, "certificates-directory": cluster.directory };
    const [command = "", ...args] = [
      ...before,
      process.execPath,
      program,
      "control",
      ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      "--pid-file",
      this.pidFile,
      "--log-level",
      "debug",
      ...(more.length > 0 ? more : ports),
    ];
    this.child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("utf8");
    });
    this.ended = once(this.child, "close").then(([status]) =>
      typeof status === "number" ? status : null,
    );
  }

  /** The ports, once it serves. */
  async serving(): Promise<{ readonly rest: number; readonly agents: number }> {
    const started = /"restPort":(\d+),"agentPort":(\d+)/;
    for (;;) {
      const [, rest, agents] = started.exec(this.text) ?? [];
      if (rest !== undefined) return { rest: Number(rest), agents: Number(agents) };
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.text}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** A node that is connected and stores every name at once. */
  async join(): Promise<TestAgent> {
    const { agents } = await this.serving();
    const agent = await TestAgent.connect(agents, cluster.node);
    agent.send(testHello(parseNodeId(cluster.nodeId), clusterId, { bootId }));
    await agent.until("welcome");
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const hasEnded = this.child.exitCode !== null || this.child.signalCode !== null;
    // A traced program is the child of its tracer.
    if (hasEnded) await this.ended;
    else if (existsSync(this.pidFile)) process.kill(positive(readFileSync(this.pidFile, "utf8")));
    else this.child.kill("SIGKILL");
    await this.ended;
  }
}

/** Zero would be this test's own process group, and the runner in it. */
function positive(pid: string): number {
  const number = Number(pid);
  expect(number).toBeGreaterThan(1);
  return number;
}

const ports = ["--port", "tcp:0:interface=127.0.0.1", "--agent-port", "tcp:0:interface=127.0.0.1"];
const newDataPath = (): string => join(cluster.directory, randomUUID());

type Client = { readonly ask: (method: string, body?: object) => Promise<[number, string]> };

async function clientOf(port: number): Promise<Client & Disposable> {
  const tls = clientTls(await loadTls(cluster.user, "user"), "TLSv1.2");
  const agent = new Agent({ ...tls, keepAlive: true });
  const ask: Client["ask"] = async (method, body) =>
    await new Promise((resolve, reject) => {
      const path = "/v1/configuration/datasets";
      const call = request({ host: "127.0.0.1", port, agent, method, path }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", reject);
        response.on("end", () =>
          resolve([response.statusCode ?? 0, Buffer.concat(parts).toString("utf8")]),
        );
      });
      call.on("error", reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return { ask, [Symbol.dispose]: () => agent.destroy() };
}

const named = (name: string): object => ({ primary: cluster.nodeId, metadata: { name } });

test("it serves, writes its pid, and ends in order with status 0 on SIGTERM", async () => {
  await using control = new ControlProcess(newDataPath());
  await control.serving();
  await expect.poll(() => existsSync(control.pidFile)).toBe(true);
  expect(readFileSync(control.pidFile, "utf8")).toBe(`${control.child.pid}\n`);

  control.child.kill("SIGTERM");

  expect(await control.ended).toBe(0);
  expect(existsSync(control.pidFile)).toBe(false);
  expect(control.text).toContain("control.stopped");
});

test("the sync of the WAL returns before anything that follows from it is written", async () => {
  const trace = join(cluster.directory, "trace");
  const tracer = `strace -ff -yy -o ${trace} -e trace=fsync,fdatasync,write,writev,pwrite64`;
  await using control = new ControlProcess(newDataPath(), tracer.split(" "));
  using agent = await control.join();
  const { rest } = await control.serving();
  using client = await clientOf(rest);
  for (let n = 0; n < 10; n += 1) {
    expect((await client.ask("POST", named(`traced-${n}`)))[0]).toBe(201);
  }
  const connected = agent.socket.readyState;
  await control[Symbol.asyncDispose]();
  expect(connected).toBe(agent.socket.OPEN);

  const { stdout } = await exec("sh", ["-c", `grep -l 'sqlite-wal' ${trace}.*`], {
    deadlineMs: 5_000,
  });
  let unsynced = 0;
  let synced = 0;
  const atWrite: (readonly [peer: string, unsynced: number, synced: boolean])[] = [];
  for (const line of readFileSync(stdout.trim(), "utf8").split("\n")) {
    const [, name = "", on = ""] = /^(\w+)\(\d+<(.*?)>[,)].* = \d+$/.exec(line) ?? [];
    const isWal = on.endsWith("sqlite-wal");
    if (isWal && name === "pwrite64") unsynced += 1;
    if (isWal && name.endsWith("sync")) [unsynced, synced] = [0, synced + 1];
    if (!on.startsWith("TCP")) continue;
    const peer = on.includes(`:${rest}->`) ? "user" : "agent";
    atWrite.push([peer, unsynced, synced > 0]);
    if (peer === "user") synced = 0;
  }
  expect(atWrite.length).toBeGreaterThan(30);
  expect(atWrite.filter(([, left]) => left > 0)).toEqual([]);
  // Its handshake aside, the user is sent one write for each 201, and each has its own sync.
  expect(atWrite.filter(([peer, , after]) => peer === "user" && after).length).toBeGreaterThan(9);
});

test("twelve rounds of POST and kill -9 lose no acknowledged name", async () => {
  const dataPath = newDataPath();
  const acknowledged = new Set<string>();
  for (let round = 0; round < 12; round += 1) {
    await using control = new ControlProcess(dataPath);
    using _agent = await control.join();
    const { rest } = await control.serving();
    using client = await clientOf(rest);
    const [status, list] = await client.ask("GET");
    expect(status).toBe(200);
    expect([...acknowledged].filter((name) => !list.includes(`"${name}"`))).toEqual([]);
    const posts = Array.from({ length: 20 }, async (_, n) => {
      const name = `round-${round}-${n}`;
      const [answer] = await client.ask("POST", named(name));
      if (answer === 201) acknowledged.add(name);
      if (n === (round * 7) % 20) control.child.kill("SIGKILL");
    });
    await Promise.allSettled(posts);
    await control.ended;
  }
  expect(acknowledged.size).toBeGreaterThan(12);
});

test("a failed sync ends it with status 70 and one line, and nothing more is acknowledged", async () => {
  const dataPath = newDataPath();
  {
    await using first = new ControlProcess(dataPath);
    await first.serving();
  }
  const wal = join(dataPath, "store.sqlite-wal");
  const inject = "inject=fdatasync,fsync:error=EIO:when=20+";
  const tracer = `strace -f -o /dev/null -P ${wal} -e trace=fdatasync,fsync -e ${inject}`;
  await using control = new ControlProcess(dataPath, tracer.split(" "));
  using _agent = await control.join();
  const { rest } = await control.serving();
  using client = await clientOf(rest);
  const acknowledged: string[] = [];
  for (let n = 0; n < 100 && control.child.exitCode === null; n += 1) {
    const answer = await client.ask("POST", named(`failing-${n}`)).catch(() => [0]);
    if (answer[0] !== 201) break;
    acknowledged.push(`failing-${n}`);
  }

  expect(await control.ended).toBe(70);
  expect(control.text).toMatch(/"event":"control.failed"/);
  expect(acknowledged.length).toBeGreaterThan(0);
  await using next = new ControlProcess(dataPath);
  using after = await clientOf((await next.serving()).rest);
  const [, list] = await after.ask("GET");
  expect(acknowledged.filter((name) => !list.includes(`"${name}"`))).toEqual([]);
});

test("what it cannot start with is its first line and status 1", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const more = ["--port", `tcp:${port}:interface=127.0.0.1`, "--agent-port", "0"];
  await using control = new ControlProcess(newDataPath(), [], more);

  expect(await control.ended).toBe(1);
  expect(control.text).toMatch(new RegExp(`^Error: Port ${port} is taken by another program`));
  server.close();
});

async function flocker(...args: string[]): Promise<void> {
  await exec(process.execPath, [program, ...args], { deadlineMs: 30_000 });
}

test("backup of a live store, and recover of that copy elsewhere", async () => {
  const dataPath = newDataPath();
  const copyPath = newDataPath();
  const file = join(cluster.directory, "backup.sqlite");
  {
    await using control = new ControlProcess(dataPath);
    using _agent = await control.join();
    using client = await clientOf((await control.serving()).rest);
    expect((await client.ask("POST", named("backed-up")))[0]).toBe(201);
    await flocker("control", "backup", "--data-path", dataPath, file);
  }
  await exec("mkdir", ["-p", copyPath], { deadlineMs: 5_000 });
  copyFileSync(file, join(copyPath, "store.sqlite"));
  {
    await using control = new ControlProcess(copyPath);
    using client = await clientOf((await control.serving()).rest);
    const [status, body] = await client.ask("POST", named("refused"));
    expect([status, body]).toEqual([503, expect.stringContaining("flocker control recover")]);
  }
  await flocker("control", "recover", "--data-path", copyPath, "--yes");
  await using control = new ControlProcess(copyPath);
  using client = await clientOf((await control.serving()).rest);
  expect((await client.ask("POST", named("early")))[1]).toContain("Recovery waits for the nodes");
  using _agent = await control.join();
  expect((await client.ask("POST", named("late")))[0]).toBe(201);
  expect((await client.ask("GET"))[1]).toContain("backed-up");
});
