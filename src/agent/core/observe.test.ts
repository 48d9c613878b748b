import { expect, test } from "vitest";
import { MemoryBackend } from "../../backends/memory/memory-backend.ts";
import { MemoryStorage } from "../../backends/memory/memory-storage.ts";
import { parseClusterId } from "../../domain/ids.ts";
import { boots, fresh } from "../../domain/record-samples.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { Device, Holder } from "../../domain/volume.ts";
import { silentLogger } from "../../lib/log.ts";
import { type Look, observe } from "./observe.ts";

const clusterId = parseClusterId("f0000000-0000-4000-8000-000000000001");
const call = { signal: new AbortController().signal, deadlineMs: 1000, log: silentLogger };
const [era] = boots;
const { datasetId, lineage: op } = fresh;
const writer: Holder = { pid: 7, command: "writer", container: null };
const sizeBytes = 64 * 2 ** 20;

/** Nothing is mounted by us here, but somebody still has the device of an earlier mount. */
function lookOf(backend: MemoryBackend, holders: readonly Holder[]): Look {
  return {
    node: fresh.primary,
    era,
    clusterId,
    backend: () => backend,
    host: {
      mounts: async () => ({ volume: false, shown: false, deviceNumber: null }),
      holders: async (_, device: Device | null) => (device === null ? holders : []),
      inspect: async () => ({ kind: "blank" }),
    },
  };
}

async function recordWithVolume(backend: MemoryBackend): Promise<DatasetRecord> {
  const { ref } = await backend.create({ datasetId, op, sizeBytes }, call);
  return { ...fresh, volume: { kind: "exists", ref, sizeBytes } };
}

test("whoever has the device of an earlier mount is seen, whatever the storage lists", async () => {
  const backend = new MemoryBackend(new MemoryStorage(), clusterId);
  const record = await recordWithVolume(backend);
  const held = { kind: "held", holders: [writer] };
  expect(await observe(datasetId, record, lookOf(backend, []), call)).toMatchObject({
    kind: "detached",
  });
  expect(await observe(datasetId, record, lookOf(backend, [writer]), call)).toEqual(held);

  const empty = new MemoryBackend(new MemoryStorage(), clusterId);
  expect(await observe(datasetId, record, lookOf(empty, []), call)).toEqual({ kind: "absent" });
  expect(await observe(datasetId, record, lookOf(empty, [writer]), call)).toEqual(held);
});
