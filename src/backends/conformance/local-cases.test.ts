import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseClusterId, parseDatasetId, parseOpId } from "../../domain/ids.ts";
import { FlockerError } from "../../lib/errors.ts";
import { silentLogger } from "../../lib/log.ts";
import { MemoryLocal } from "../memory/memory-local.ts";
import { MemoryPool, type MemoryVolume } from "../memory/memory-pool.ts";
import { localCases } from "./local-cases.ts";
import { type LocalBench, type Place, runLocalCase } from "./local-bench.ts";
import { testSentences } from "./test-sentences.ts";

async function memoryBench(): Promise<LocalBench & AsyncDisposable> {
  const clusterId = parseClusterId(randomUUID());
  const [pool, otherPool] = [randomUUID(), randomUUID()].map((id) => new MemoryPool(id, clusterId));
  if (pool === undefined || otherPool === undefined) throw new Error("two pools");
  const backend = new MemoryLocal(pool);
  const poolOf = (at: Place): MemoryPool => (at.backend.poolId === pool.poolId ? pool : otherPool);
  const volumeOf = (at: Place): MemoryVolume => {
    const { volume } = poolOf(at).at(at.datasetId);
    if (volume === null) throw new Error(`no volume at ${at.datasetId}`);
    return volume;
  };
  const write = async (at: Place, name: string, text: string): Promise<void> => {
    const volume = volumeOf(at);
    if (volume.sealedFor !== null) throw new FlockerError("COMMAND_FAILED", "read-only");
    poolOf(at).write(volume, name, text);
  };
  return {
    backend,
    otherBackend: new MemoryLocal(otherPool),
    clusterId,
    call: { signal: new AbortController().signal, deadlineMs: 1000, log: silentLogger },
    newDatasetId: () => parseDatasetId(randomUUID()),
    newOp: () => parseOpId(randomUUID()),
    openAgain: async () => new MemoryLocal(pool),
    losePool: async () => {
      pool.missing = true;
      return {
        [Symbol.asyncDispose]: async () => {
          pool.missing = false;
        },
      };
    },
    files: {
      write,
      read: async (at, name) => volumeOf(at).files.get(name) ?? null,
      names: async (at) => [...volumeOf(at).files.keys()],
      mode: async () => 0o777,
      fill: async (at, bytes) => {
        const step = 2 ** 16;
        for (let taken = 0; taken < bytes; taken += step) {
          try {
            await write(at, `fill-${taken}`, "x".repeat(step));
          } catch {
            return taken;
          }
        }
        return bytes;
      },
      hold: async (at, writes) => {
        const volume = volumeOf(at);
        const held = poolOf(at).hold(volume, writes);
        poolOf(at).write(volume, "held", "opened");
        return {
          write: async (text) => poolOf(at).write(volume, "held", text),
          [Symbol.asyncDispose]: async () => held[Symbol.dispose](),
        };
      },
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

describe("conformance memory local", () => {
  test.each(localCases)("$name", async (item) => {
    await expect(runLocalCase(item, memoryBench)).resolves.toBeUndefined();
  });
  testSentences({ file: "src/backends/local.ts", name: "LocalBackend" }, localCases);
});
