import { chmod, link, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { type IncomingHttpHeaders, request } from "node:http";
import { type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type {
  PluginAnswer,
  PluginCall,
  PluginVolume,
  VolumePlugin,
} from "../agent/core/plugin-call.ts";
import { FlockerError } from "../lib/errors.ts";
import { silentLogger } from "../lib/log.ts";
import { type PluginServer, startPluginServer } from "./server.ts";

/** Answers as it is told, and remembers what it was asked. */
class ScriptedPlugin implements VolumePlugin {
  readonly calls: PluginCall[] = [];
  readonly signals: AbortSignal[] = [];
  answer: (call: PluginCall, signal: AbortSignal) => PluginAnswer | Promise<PluginAnswer> = () => ({
    kind: "ok",
  });

  async call(call: PluginCall, signal: AbortSignal): Promise<PluginAnswer> {
    this.calls.push(call);
    this.signals.push(signal);
    return this.answer(call, signal);
  }
}

let directory: string;
let socketPath: string;
let plugin: ScriptedPlugin;
let server: PluginServer;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "flocker-plugin-"));
  socketPath = join(directory, "flocker", "flocker.sock");
  plugin = new ScriptedPlugin();
  server = await start(socketPath);
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

type Reply = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
};

function post(path: string, body: string, options: object = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { accept: "application/vnd.docker.plugins.v1.2+json", host: "" };
    const all = { socketPath, path, method: "POST", headers, agent: false, ...options };
    const outgoing = request(all, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("end", () => {
        const { statusCode: status = 0, headers: got } = answer;
        resolve({ status, headers: got, body: JSON.parse(text) });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function at(name: string, mountpoint: string): PluginVolume {
  return { name, mountpoint, createdAtMs: null, status: {} };
}

function start(path: string): Promise<PluginServer> {
  return startPluginServer({ socketPath: path, port: plugin, log: silentLogger });
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error("not within 5 s");
    await sleep(2);
  }
}

/** A connection that speaks for itself; resolves with all that it was sent when it is closed. */
function raw(text: string): { readonly socket: Socket; readonly received: Promise<string> } {
  const socket = connect(socketPath);
  socket.setEncoding("utf8");
  const received = new Promise<string>((resolve) => {
    let all = "";
    socket.on("data", (chunk: string) => {
      all += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(all));
  });
  socket.write(text);
  return { socket, received };
}

function rawCall(path: string, body: object): string {
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: \r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

describe("answers", () => {
  it("Activate whatever its body is, without asking", async () => {
    for (const body of ["", "{}", "nonsense"]) {
      const reply = await post("/Plugin.Activate", body);
      expect(reply).toMatchObject({ status: 200, body: { Implements: ["VolumeDriver"] } });
      expect(reply.headers["content-type"]).toBe("application/json");
    }
    expect(plugin.calls).toEqual([]);
  });

  it("Capabilities with the scope global", async () => {
    const { body } = await post("/VolumeDriver.Capabilities", "");
    expect(body).toEqual({ Capabilities: { Scope: "global" } });
  });

  it.each(["Create", "Remove", "Unmount"])("%s with an empty Err", async (verb) => {
    const { status, body } = await post(`/VolumeDriver.${verb}`, '{"Name": "shop"}');
    expect({ status, body }).toEqual({ status: 200, body: { Err: "" } });
  });

  it.each(["Mount", "Path"])("%s with where it is", async (verb) => {
    plugin.answer = () => ({ kind: "mountpoint", mountpoint: "/flocker/1" });
    const { body } = await post(`/VolumeDriver.${verb}`, '{"Name": "shop", "ID": "a1"}');
    expect(body).toEqual({ Mountpoint: "/flocker/1", Err: "" });
    const id = verb === "Mount" ? { id: "a1" } : {};
    expect(plugin.calls).toEqual([{ kind: verb.toLowerCase(), name: "shop", ...id }]);
  });

  it("Get with the volume and its status", async () => {
    const status = { phase: "attached", size: 5, error: null };
    const volume = { name: "shop", mountpoint: "", createdAtMs: null, status };
    plugin.answer = () => ({ kind: "volume", volume });
    const { body } = await post("/VolumeDriver.Get", '{"Name": "shop"}');
    expect(body).toEqual({ Volume: { Name: "shop", Mountpoint: "", Status: status }, Err: "" });

    plugin.answer = () => ({ kind: "volume", volume: { ...volume, createdAtMs: 86_400_000 } });
    const known = await post("/VolumeDriver.Get", '{"Name": "shop"}');
    expect(known.body).toMatchObject({ Volume: { CreatedAt: "1970-01-02T00:00:00.000Z" } });
  });

  it("List sorted by mount point, then name", async () => {
    plugin.answer = () => ({
      kind: "volumes",
      volumes: [at("c", "/f/1"), at("b", ""), at("a", "")],
    });
    const { body } = await post("/VolumeDriver.List", "{}");
    expect(body).toMatchObject({ Volumes: [{ Name: "a" }, { Name: "b" }, { Name: "c" }], Err: "" });
  });

  it("errors with status 200 and the texts of Flocker 1.15", async () => {
    plugin.answer = () => ({ kind: "error", message: "Could not find volume with given name." });
    expect((await post("/VolumeDriver.Mount", '{"Name": "shop"}')).body).toEqual({
      Err: "Could not find volume with given name.",
    });
    plugin.answer = () => ({ kind: "error", message: "Volume not available." });
    expect((await post("/VolumeDriver.Path", '{"Name": "shop"}')).body).toEqual({
      Err: "Volume not available.",
      Mountpoint: "",
    });
  });

  it("a failure of ours with status 200 and no stack", async () => {
    plugin.answer = () => {
      throw new TypeError("x is undefined");
    };
    const { status, body } = await post("/VolumeDriver.Get", '{"Name": "shop"}');
    const Err = "Internal error of the Flocker agent: x is undefined";
    expect({ status, body }).toEqual({ status: 200, body: { Err } });
    plugin.answer = () => Promise.reject(new FlockerError("READ_ONLY", "The store is read-only."));
    const refused = await post("/VolumeDriver.Get", '{"Name": "shop"}');
    expect(refused.body).toEqual({ Err: "The store is read-only." });
  });
});

describe("refuses", () => {
  it("an empty body without asking anybody", async () => {
    for (const verb of ["Create", "Remove", "Mount", "Unmount", "Path", "Get"]) {
      const { status, body } = await post(`/VolumeDriver.${verb}`, "");
      expect(status).toBe(200);
      expect(body).toMatchObject({ Err: expect.stringContaining("request is empty") });
    }
    expect(plugin.calls).toEqual([]);
  });

  it.each(["{", "[]", '"shop"', "null", "5"])("the body %s with status 400", async (text) => {
    const { status, body } = await post("/VolumeDriver.Get", text);
    expect({ status, body }).toEqual({ status: 400, body: { Err: expect.stringMatching(/JSON/) } });
  });

  it("an unknown path with 404, another method with 405", async () => {
    for (const path of ["/", "/VolumeDriver.Mount/", "/NetworkDriver.Create", "/toString"]) {
      expect(await post(path, "{}")).toMatchObject({ status: 404, body: { Err: /no call/ } });
    }
    for (const path of ["/Plugin.Activate", "/VolumeDriver.Mount"]) {
      const reply = await post(path, "", { method: "GET" });
      expect(reply).toMatchObject({ status: 405, headers: { allow: "POST" } });
    }
    expect(plugin.calls).toEqual([]);
  });

  it("a body over the limit", async () => {
    const { status } = await post("/VolumeDriver.Get", " ".repeat(70_000));
    expect(status).toBe(413);
    expect((await post("/Plugin.Activate", "")).status).toBe(200);
  });

  it("an impossible option, saying what there is", async () => {
    const { status, body } = await post("/VolumeDriver.Create", '{"Name":"a","Opts":{"x":"1"}}');
    expect({ status, body }).toEqual({
      status: 200,
      body: { Err: 'Unknown option "x". The options are size, pool, fs, reclaim, profile.' },
    });
  });
});

describe("a connection", () => {
  it("without a Host, or with an empty one, is served", async () => {
    const bare = raw("POST /Plugin.Activate HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(await bare.received).toContain('{"Implements":["VolumeDriver"]}');
    const empty = raw("POST /Plugin.Activate HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n");
    expect(await empty.received).toContain("200 OK");
  });

  it("closed before the answer aborts the signal of its call", async () => {
    plugin.answer = () => new Promise(() => {});
    const { socket } = raw(rawCall("/VolumeDriver.Mount", { Name: "shop", ID: "a1" }));
    await until(() => plugin.signals.length === 1);
    expect(plugin.signals[0]?.aborted).toBe(false);
    socket.destroy();
    await until(() => plugin.signals[0]?.aborted === true);
  });

  it("closed after the answer aborts nothing", async () => {
    const { socket, received } = raw(rawCall("/VolumeDriver.Remove", { Name: "shop" }));
    socket.once("data", () => socket.destroy());
    expect(await received).toContain('{"Err":""}');
    await sleep(20);
    expect(plugin.signals[0]?.aborted).toBe(false);
  });

  it("that breaks within a request makes no call", async () => {
    const whole = rawCall("/VolumeDriver.Remove", { Name: "shop" });
    const { socket, received } = raw(whole.slice(0, -3));
    socket.end();
    await received;
    expect(plugin.calls).toEqual([]);
  });

  it("serves several calls at once, and is not held up by one that waits", async () => {
    let mounted = false;
    plugin.answer = async (call) => {
      if (call.kind !== "mount") return { kind: "ok" };
      await until(() => mounted);
      return { kind: "mountpoint", mountpoint: "/flocker/1" };
    };
    const mount = post("/VolumeDriver.Mount", '{"Name": "shop", "ID": "a1"}');
    await until(() => plugin.calls.length === 1);
    expect((await post("/VolumeDriver.Remove", '{"Name": "shop"}')).body).toEqual({ Err: "" });
    mounted = true;
    expect((await mount).body).toEqual({ Mountpoint: "/flocker/1", Err: "" });
  });
});

describe("the socket", () => {
  it("can be reached by its owner alone", async () => {
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "flocker"))).mode & 0o777).toBe(0o700);
  });

  it("of a living server is never taken over", async () => {
    await expect(start(socketPath)).rejects.toThrow(/another process serves .*flocker\.sock/);
    expect((await post("/Plugin.Activate", "")).status).toBe(200);
  });

  it("of a dead server is replaced", async () => {
    const path = join(directory, "stale.sock");
    await using _server = await abandonedSocket(path);
    await using _second = await start(path);
    socketPath = path;
    expect((await post("/Plugin.Activate", "")).status).toBe(200);
  });

  it("never replaces a file, and wants a safe directory", async () => {
    const file = join(directory, "file");
    await writeFile(file, "precious");
    await expect(start(file)).rejects.toThrow(/exists and is not a socket/);
    const open = join(directory, "open");
    await mkdir(open);
    await writeFile(join(open, "other"), "");
    await chmod(open, 0o777);
    await expect(start(join(open, "a.sock"))).rejects.toThrow(/others than root can write/);
    await expect(start(join(directory, "x".repeat(110)))).rejects.toThrow(/at most 107 bytes/);
  });

  it("is gone after a stop, and a call that waited got an error", async () => {
    plugin.answer = () => new Promise(() => {});
    const waiting = post("/VolumeDriver.Mount", '{"Name": "shop", "ID": "a1"}');
    await until(() => plugin.calls.length === 1);
    await server[Symbol.asyncDispose]();
    expect((await waiting).body).toMatchObject({ Err: expect.stringContaining("being stopped") });
    expect(plugin.signals[0]?.aborted).toBe(true);
    await expect(stat(socketPath)).rejects.toThrow(/ENOENT/);
  });
});

/** A socket file that nobody listens on, as a killed server leaves it. */
async function abandonedSocket(path: string): Promise<AsyncDisposable> {
  const moved = `${path}.moved`;
  const listener = createServer();
  await new Promise<void>((resolve) => {
    listener.listen(moved, resolve);
  });
  await link(moved, path);
  await new Promise((resolve) => {
    listener.close(resolve);
  });
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
}
