import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DockerEngine } from "../../src/containers/docker-engine.ts";
import { loadDriver } from "../../src/containers/load-driver.ts";
import { type PluginServer, startPluginServer } from "../../src/docker-plugin/server.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { until } from "../../tools/testbed/linux/until.ts";
import { EngineBed } from "./engine-bed.ts";
import { DroppingProxy } from "./plugin-proxy.ts";
import { DirectoryPlugin } from "./plugin-volumes.ts";

const socket = "/run/docker/plugins/flocker/flocker.sock";
const stack = new AsyncDisposableStack();
let bed: EngineBed;
let plugin: DirectoryPlugin;
let server: PluginServer;

function start(): Promise<PluginServer> {
  return startPluginServer({ socketPath: bed.file(socket), port: plugin, log: silentLogger });
}

beforeAll(async () => {
  bed = await EngineBed.up("plugin-test", stack);
  plugin = new DirectoryPlugin((...command) => bed.run(...command));
  server = await start();
  stack.defer(() => server[Symbol.asyncDispose]());
});
afterAll(() => stack.disposeAsync());

beforeEach(() => {
  plugin.rule = () => null;
  plugin.takeCalls();
});
afterEach(async () => {
  plugin.rule = () => null;
  await bed.tidy();
});

/** `docker run` of a shell; the container is removed when it ends. */
function runShell(volume: string, script: string, ...options: string[]): Promise<string> {
  return bed.docker(
    "run",
    "--rm",
    "--net",
    "none",
    "-v",
    volume,
    ...options,
    "small",
    "sh",
    "-c",
    script,
  );
}

const ours = ["--volume-driver", "flocker"] as const;

describe("the engine finds the plugin", () => {
  it("when it is asked to load its drivers, before any user names it", async () => {
    const before = await bed.docker("info", "--format", "{{json .Plugins.Volume}}");
    expect(JSON.parse(before)).toEqual(["local"]);
    const engine = new DockerEngine({
      socketPath: bed.file("/run/docker.sock"),
      driver: "flocker",
      shownRoot: "/flocker",
      log: silentLogger,
    });
    await loadDriver(engine, "flocker", { signal: AbortSignal.timeout(30_000), log: silentLogger });
    const after = await bed.docker("info", "--format", "{{json .Plugins.Volume}}");
    expect(JSON.parse(after)).toEqual(["flocker", "local"]);
  });

  it("again after a restart of the plugin, and shows scope and status of a volume", async () => {
    await bed.docker("volume", "create", "-d", "flocker", "v0");
    await server[Symbol.asyncDispose]();
    server = await start();
    const inspected: unknown = JSON.parse(await bed.docker("volume", "inspect", "v0"));
    expect(inspected).toMatchObject([
      {
        Driver: "flocker",
        Name: "v0",
        Scope: "global",
        Mountpoint: "",
        Status: { phase: "attached", size: 104_857_600 },
      },
    ]);
  });
});

describe("a command becomes these calls, in this order", () => {
  it("volume create, ls, inspect and rm", async () => {
    await bed.docker("volume", "create", "-d", "flocker", "-o", "size=1g", "-o", "fs=xfs", "v1");
    expect(plugin.calls.at(-1)).toMatchObject({
      kind: "create",
      options: { sizeBytes: 2 ** 30, fileSystem: "xfs", pool: null },
    });
    expect(plugin.takeCalls("v1")).toEqual(["get", "create"]);
    expect(await bed.docker("volume", "ls", "-q", "-f", "driver=flocker")).toContain("v1");
    expect(plugin.takeCalls("v1")).toEqual(["list"]);
    await bed.docker("volume", "inspect", "v1");
    expect(plugin.takeCalls("v1")).toEqual(["get"]);
    await bed.docker("volume", "rm", "v1");
    expect(plugin.takeCalls("v1")).toEqual(["get", "get", "remove"]);
  });

  it("run of a new name, and its end", async () => {
    expect(await runShell("v2:/d", "echo kept >/d/file; cat /d/file", ...ours)).toBe("kept");
    const calls = plugin.takeCalls("v2");
    expect(calls.filter((kind) => kind !== "get")).toEqual(["create", "mount", "unmount"]);
    expect(calls[0]).toBe("get");
    expect(plugin.usersOf("v2")).toEqual([]);
  });

  it("restart: Unmount, then Mount under a new ID", async () => {
    await bed.docker("run", "-d", "--name", "c1", "-v", "v3:/d", ...ours, "small", "sleep", "1000");
    const [before] = plugin.usersOf("v3");
    plugin.takeCalls();
    await bed.docker("restart", "-t", "0", "c1");
    const calls = plugin.takeCalls("v3").filter((kind) => kind !== "get");
    expect(calls).toEqual(["unmount", "mount"]);
    expect(plugin.usersOf("v3")).toHaveLength(1);
    expect(plugin.usersOf("v3")).not.toContain(before);
  });

  it("copy-up: a Mount and an Unmount of its own before the real one", async () => {
    expect(await runShell("v4:/seeded", "cat /seeded/file", ...ours)).toBe("from the image");
    const calls = plugin.calls.filter(({ kind }) => kind === "mount" || kind === "unmount");
    const ids = calls.map((call) => ("id" in call ? call.id : ""));
    expect(calls.map(({ kind }) => kind)).toEqual(["mount", "unmount", "mount", "unmount"]);
    expect([ids[0], ids[2]]).toEqual([ids[1], ids[3]]);
    expect(ids[0]).not.toBe(ids[2]);
  });

  it("several containers: a Mount with an ID for each, an Unmount for each", async () => {
    await bed.docker("volume", "create", "-d", "flocker", "v5");
    const names = ["ca", "cb", "cc", "cd"];
    const started = names.map((name) =>
      bed.docker(
        "run",
        "-d",
        "--name",
        name,
        "-v",
        "v5:/d",
        "--net",
        "none",
        "small",
        "sleep",
        "1000",
      ),
    );
    await Promise.all(started);
    expect(new Set(plugin.usersOf("v5")).size).toBe(4);
    await Promise.all(names.map((name) => bed.docker("kill", name)));
    await until("all have let go", 10_000, () => plugin.usersOf("v5").length === 0);
    const kinds = plugin.takeCalls("v5");
    expect(kinds.filter((kind) => kind === "mount")).toHaveLength(4);
    expect(kinds.filter((kind) => kind === "unmount")).toHaveLength(4);
    expect(kinds).not.toContain("path");
  });
});

describe("a name without a driver", () => {
  it("is ours when the volume exists, though this engine never saw it", async () => {
    await plugin.add("v6");
    await bed.run("sh", "-c", "echo elsewhere >/srv/volumes/v6/file");
    expect(await runShell("v6:/d", "cat /d/file")).toBe("elsewhere");
    expect(await bed.docker("volume", "ls", "-q", "-f", "driver=local")).toBe("");
  });

  it("is the engine's own when there is none of that name, as without us", async () => {
    await runShell("plain:/d", "echo kept >/d/file");
    expect(await bed.docker("volume", "ls", "-q", "-f", "driver=local")).toBe("plain");
    await bed.docker("volume", "create", "plain2");
    expect(plugin.takeCalls().filter((kind) => kind !== "get" && kind !== "list")).toEqual([]);
  });

  it("is the engine's own for the anonymous volumes of an image", async () => {
    const seeded = await bed.docker("create", "small", "sh");
    const changed = await bed.docker("commit", "-c", "VOLUME /seeded", "-c", 'CMD ["sh"]', seeded);
    const command = ["run", "--rm", "--net", "none", changed, "cat", "/seeded/file"];
    expect(await bed.docker(...command)).toBe("from the image");
    expect(plugin.takeCalls().filter((kind) => kind !== "get")).toEqual([]);
  });
});

describe("what the user is told", () => {
  it.each([
    ["sise=1g", 'Unknown option "sise". The options are size, pool, fs, reclaim, profile.'],
    ["size=10foogib", 'Option size: "10foogib" is not a size'],
    ["fs=btrfs", 'Option fs: "btrfs" is none of ext4, xfs.'],
  ])("-o %s", async (option, message) => {
    const create = ["docker", "volume", "create", "-d", "flocker", "-o", option, "v7"] as const;
    const { status, stderr } = await bed.exec(...create);
    expect(stderr).toContain(message);
    expect(status).toBe(1);
    expect(plugin.takeCalls()).not.toContain("create");
  });

  it("the reason why a Mount failed, and a later try works", async () => {
    const message = "Volume v8 waits for node h2 to release it: held by container redis.";
    plugin.rule = (call) =>
      call.kind === "mount" ? Promise.resolve({ kind: "error", message }) : null;
    const refused = await runShell("v8:/d", "true", ...ours).catch(String);
    expect(refused).toContain(message);
    plugin.rule = () => null;
    expect(await runShell("v8:/d", "echo fine", ...ours)).toBe("fine");
  });
});

let standing: DroppingProxy | null = null;

/**
 * The plugin once more as driver `dropping`, to the end of the tests: the engine asks each plugin
 * that it knows for every name that it does not.
 */
async function dropping(): Promise<DroppingProxy> {
  const path = bed.file("/run/docker/plugins/dropping.sock");
  standing ??= stack.use(await DroppingProxy.start(path, bed.file(socket)));
  standing.seen.length = 0;
  return standing;
}

describe("a call that goes wrong on the way", () => {
  it("is tried again with an empty body, which is refused and not acted on", async () => {
    await plugin.add("v9");
    const proxy = await dropping();
    await bed.docker("volume", "create", "-d", "dropping", "v9");
    plugin.takeCalls();
    proxy.dropNext = "/VolumeDriver.Mount";
    const outcome = await runShell("v9:/d", "true").catch(String);
    expect(outcome).toContain("The request is empty");
    expect(proxy.seen.filter((head) => head.includes("/VolumeDriver.Mount"))).toHaveLength(2);
    expect(proxy.seen.at(-1)).toMatch(/content-length: 0/i);
    expect(plugin.takeCalls("v9")).not.toContain("mount");
    expect(plugin.usersOf("v9")).toEqual([]);
  });

  it("does not make another volume of a name that the engine knows", async () => {
    const proxy = await dropping();
    await bed.docker("volume", "create", "-d", "dropping", "v12");
    proxy.dropNext = "/VolumeDriver.Get";
    await runShell("v12:/d", "echo ours >/d/file");
    expect(await bed.run("cat", "/srv/volumes/v12/file")).toBe("ours");
  });

  it("is aborted when the engine dies while it waits for a Mount", async () => {
    await plugin.add("v10");
    const given: AbortSignal[] = [];
    plugin.rule = (call, signal) => {
      if (call.kind !== "mount") return null;
      given.push(signal);
      return new Promise(() => {});
    };
    const outcome = runShell("v10:/d", "true").catch(String);
    const signal = await until("the Mount", 20_000, () => given[0]);
    expect(signal.aborted).toBe(false);
    await bed.killEngine();
    await until("the Mount is given up", 5_000, () => signal.aborted);
    expect(await outcome).toContain("docker");
    plugin.rule = () => null;
    await bed.engineReady();
    expect(await runShell("v10:/d", "echo fine")).toBe("fine");
  });

  it("leaves a living container its volume when the plugin is restarted", async () => {
    await bed.docker(
      "run",
      "-d",
      "--name",
      "c1",
      "-v",
      "v11:/d",
      ...ours,
      "small",
      "sleep",
      "1000",
    );
    await server[Symbol.asyncDispose]();
    server = await start();
    await bed.docker("exec", "c1", "sh", "-c", "echo still >/d/file");
    await bed.docker("kill", "c1");
    await until("it has let go", 10_000, () => plugin.usersOf("v11").length === 0);
    expect(await bed.run("cat", "/srv/volumes/v11/file")).toBe("still");
  });

  it("is not made when the engine is killed under a living container (live-restore)", async () => {
    await bed.docker(
      "run",
      "-d",
      "--name",
      "c1",
      "-v",
      "v13:/d",
      ...ours,
      "small",
      "sleep",
      "1000",
    );
    const users = plugin.usersOf("v13");
    plugin.takeCalls();
    await bed.killEngine();
    await bed.engineReady();
    await bed.docker("exec", "c1", "sh", "-c", "echo still >/d/file");
    expect(plugin.takeCalls("v13").filter((kind) => kind !== "get")).toEqual([]);
    expect(plugin.usersOf("v13")).toEqual(users);
    await bed.docker("kill", "c1");
    await until("it has let go", 10_000, () => plugin.usersOf("v13").length === 0);
  });
});
