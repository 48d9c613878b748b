import { describe, expect, it } from "vitest";
import { silentLogger } from "../lib/log.ts";
import { engineCases } from "./engine-cases.ts";
import { loadDriver } from "./load-driver.ts";
import { MemoryEngine } from "./memory-engine.ts";

const ours = { driver: "flocker", shownRoot: "/flocker" };

describe("the engine in memory", () => {
  it.each(engineCases)("$name", async ({ run }) => {
    const engine = new MemoryEngine(ours);
    const hands = {
      create: async (name: string, volumes: readonly string[], binds: readonly string[]) => {
        const all = volumes.map((volume) => ({ driver: "flocker", name: volume }));
        const other = { driver: "local", name: "other" };
        return engine.create(name, { volumes: [...all, other], binds: [...binds, "/srv"] });
      },
      createWaiting: async (name: string, restartPolicy: string) => {
        const volumes = [{ driver: "flocker", name: "late" }];
        const id = engine.create(name, { volumes, restartPolicy });
        engine.failMount(id);
        return { id, repair: async () => engine.repair(id) };
      },
      createOwnVolume: async (name: string | null) => {
        engine.createVolume(name ?? "0".repeat(64));
      },
      start: async (id: string) => engine.start(id),
      kill: async (id: string) => engine.kill(id),
      remove: async (id: string) => engine.remove(id),
      stopEngine: async () => engine.setDown("it was stopped"),
      startEngine: async () => engine.setDown(null),
    };
    await expect(run({ engine, hands, shownRoot: "/flocker" })).resolves.toBeUndefined();
  });
});

describe("loadDriver", () => {
  it("asks until the engine is up and has the driver", async () => {
    const engine = new MemoryEngine(ours);
    engine.setDown("not yet");
    const { signal } = new AbortController();
    const loaded = loadDriver(engine, "flocker", { signal, log: silentLogger });
    engine.setDown(null);
    engine.drivers.push("flocker");
    await expect(loaded).resolves.toBeUndefined();
  });

  it("ends when it is aborted", async () => {
    const over = new AbortController();
    const loaded = loadDriver(new MemoryEngine(ours), "flocker", {
      signal: over.signal,
      log: silentLogger,
    });
    over.abort();
    await expect(loaded).resolves.toBeUndefined();
  });
});
