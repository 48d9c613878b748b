import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DockerEngine } from "../../src/containers/docker-engine.ts";
import { type EngineHands, engineCases } from "../../src/containers/engine-cases.ts";
import { silentLogger } from "../../src/lib/log.ts";
import type { EngineEvent } from "../../src/containers/engine.ts";
import { until } from "../../tools/testbed/linux/until.ts";
import { EngineBed } from "./engine-bed.ts";

const stack = new AsyncDisposableStack();
let bed: EngineBed;

beforeAll(async () => {
  bed = await EngineBed.up("engine-test", stack);
  await bed.run("mkdir", "-p", "/flocker/one", "/flocker-not");
});
afterAll(() => stack.disposeAsync());
afterEach(() => bed.tidy());

/** Volumes of the driver `local` stand for ours here: these are the engine's facts alone. */
function dockerEngine(socketPath = bed.file("/run/docker.sock")): DockerEngine {
  const ours = { driver: "local", shownRoot: "/flocker" };
  return new DockerEngine({ ...ours, socketPath, log: silentLogger, silenceMsMax: 500 });
}

const hands: EngineHands = {
  create: async (name, volumes, binds) => {
    const mounts = [
      ...volumes.map((volume) => `${volume}:/${volume}`),
      ...binds.map((b) => `${b}:/binds${b}`),
    ];
    const options = mounts.flatMap((mount) => ["-v", mount]);
    const all = [...options, "-v", "/srv:/srv", "--net", "none"];
    return bed.docker("create", "--name", name, ...all, "small", "sleep", "1000");
  },
  createWaiting: async (name, restartPolicy) => {
    const device = `/srv/late-${name}`;
    const bind = ["--opt", "type=none", "--opt", "o=bind", "--opt", `device=${device}`];
    await bed.docker("volume", "create", ...bind, `late-${name}`);
    const how = ["--net", "none", "--restart", restartPolicy, "-v", `late-${name}:/late`];
    const id = await bed.docker("create", "--name", name, ...how, "small", "sleep", "1000");
    expect((await bed.exec("docker", "start", name)).status).not.toBe(0);
    const repair = async (): Promise<void> => {
      await bed.run("mkdir", "-p", device);
    };
    return { id, repair };
  },
  createOwnVolume: async (name) => {
    await bed.docker("volume", "create", ...(name === null ? [] : [name]));
  },
  start: async (id) => {
    await bed.docker("start", id);
  },
  kill: async (id) => {
    await bed.docker("kill", id);
    await bed.docker("wait", id);
  },
  remove: async (id) => {
    await bed.docker("rm", "-f", id);
  },
  stopEngine: () => bed.stopEngine(),
  startEngine: () => bed.startEngine(),
};

describe("the Docker Engine", () => {
  it.each(engineCases)("$name", async ({ run }) => {
    const done = run({ engine: dockerEngine(), hands, shownRoot: "/flocker" });
    await expect(done).resolves.toBeUndefined();
  });

  it("that hangs is unavailable after the deadline, and a watch says so", async () => {
    const heard: EngineEvent[] = [];
    const over = new AbortController();
    const engine = dockerEngine();
    const watch = engine.watch(
      (event) => {
        if (event.kind.endsWith("connected")) heard.push(event);
      },
      { signal: over.signal },
    );
    await until("connected", 10_000, () => heard.length === 1);
    const pid = await bed.run("cat", "/run/docker.pid");
    await bed.run("kill", "-STOP", pid);
    const late = expect.stringMatching(/gave no answer within 5000 ms/);
    try {
      const answer = await engine.containers({ signal: AbortSignal.timeout(60_000) });
      expect(answer).toEqual({ kind: "unavailable", reason: late });
      await until("disconnected", 20_000, () => heard.length === 2);
    } finally {
      await bed.run("kill", "-CONT", pid);
    }
    await until("connected again", 20_000, () => heard.length === 3);
    expect(heard).toEqual([
      { kind: "connected" },
      { kind: "disconnected", reason: expect.stringMatching(/does not answer|no answer/) },
      { kind: "connected" },
    ]);
    over.abort();
    await watch;
  });

  it("is known by its process, as its own host sees it", async () => {
    const module = join(import.meta.dirname, "../../src/containers/docker-engine.ts");
    const script = `
      import { DockerEngine } from ${JSON.stringify(module)};
      const log = null;
      const ours = { driver: "local", shownRoot: "/flocker", log };
      for (const socketPath of ["/var/run/docker.sock", "/nowhere/docker.sock"]) {
        console.log(await new DockerEngine({ ...ours, socketPath }).pid());
      }
    `;
    const said = await bed.run(process.execPath, "--input-type=module", "-e", script);
    const pid = await bed.run("cat", "/run/docker.pid");
    expect(said.split("\n")).toEqual([pid, pid]);
  });

  it("obeys its path, whatever DOCKER_HOST says", async () => {
    process.env["DOCKER_HOST"] = "tcp://127.0.0.1:1";
    try {
      const answer = await dockerEngine().containers({ signal: AbortSignal.timeout(60_000) });
      expect(answer).toEqual({ kind: "answered", value: [] });
    } finally {
      delete process.env["DOCKER_HOST"];
    }
  });
});
