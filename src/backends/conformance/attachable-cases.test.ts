import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  parseBootId,
  parseClusterId,
  parseDatasetId,
  parseNodeId,
  parseOpId,
} from "../../domain/ids.ts";
import { silentLogger } from "../../lib/log.ts";
import { MemoryBackend } from "../memory/memory-backend.ts";
import { MemoryStorage } from "../memory/memory-storage.ts";
import { attachableCases } from "./attachable-cases.ts";
import { type AttachableBench, runAttachableCase } from "./attachable-bench.ts";
import { testSentences } from "./test-sentences.ts";

async function memoryBench(): Promise<AttachableBench & AsyncDisposable> {
  const storage = new MemoryStorage();
  const clusterId = parseClusterId(randomUUID());
  const node = parseNodeId(randomUUID());
  return {
    backend: new MemoryBackend(storage, clusterId),
    otherBackend: new MemoryBackend(storage, clusterId),
    foreignBackend: new MemoryBackend(storage, parseClusterId(randomUUID())),
    here: { node, era: parseBootId(randomUUID()), generation: 4 },
    hereLater: { node, era: parseBootId(randomUUID()), generation: 5 },
    there: { node: parseNodeId(randomUUID()), era: parseBootId(randomUUID()), generation: 5 },
    call: { signal: new AbortController().signal, deadlineMs: 1000, log: silentLogger },
    newDatasetId: () => parseDatasetId(randomUUID()),
    newOp: () => parseOpId(randomUUID()),
    device: {
      write: async (device, text) => storage.write(device, text),
      read: async (device) => storage.read(device),
      sizeBytes: async (device) => storage.sizeBytesOf(device),
      use: async (device) => {
        const use = storage.use(device);
        return { [Symbol.asyncDispose]: async () => use[Symbol.dispose]() };
      },
      hold: async () => ({ [Symbol.asyncDispose]: async () => {} }),
    },
    [Symbol.asyncDispose]: async () => {
      expect([...storage.volumes.values()]).toEqual([]);
    },
  };
}

const { capabilities } = new MemoryBackend(new MemoryStorage(), parseClusterId(randomUUID()));

describe("conformance memory", () => {
  const fitting = attachableCases.filter(({ needs }) => needs?.(capabilities) ?? true);
  test.each(fitting)("$name", async (item) => {
    await expect(runAttachableCase(item, memoryBench)).resolves.toBeUndefined();
  });
  testSentences({ file: "src/backends/attachable.ts", name: "AttachableBackend" }, attachableCases);
});
