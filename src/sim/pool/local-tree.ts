import type { DatasetId } from "../../domain/ids.ts";
import type { LocalCopy } from "../../domain/local-copy.ts";
import type { LocalBackend } from "../../backends/local.ts";
import type { Identity } from "../../domain/volume.ts";
import type { Names } from "./local-pool.ts";
import type { Subvolume, Tree } from "./subvolume.ts";
import type { Payload } from "./transfer.ts";
import { failure } from "../world/world-context.ts";

export function treeOf({ identity, mkfs, bulkBytes, entries, whole, lastShown }: Tree): Tree {
  return { identity, mkfs, bulkBytes, entries, whole, lastShown };
}

export function liveOf({ volume }: Names): Subvolume | null {
  return volume?.sealedFor === null ? volume : null;
}

export function shownAs({ identity, sealedFor }: Subvolume): LocalCopy {
  return sealedFor === null
    ? { kind: "live", identity }
    : { kind: "sealed", identity, move: sealedFor };
}

export function limited(volume: Subvolume, sizeBytes: number): Subvolume {
  volume.limitBytes = sizeBytes;
  volume.persist();
  return volume;
}

export function isMade({ volume }: Names, { datasetId, lineage }: Identity): boolean {
  if (volume === null) return false;
  if (volume.sealedFor === null && volume.identity.lineage === lineage) return true;
  throw failure("VOLUME_EXISTS", `${datasetId} has another volume here`);
}

/** What is other than in `base`; everything without one. */
export function payloadOf(tree: Subvolume, base: Subvolume | null): Payload {
  const entries = [...tree.entries].filter(([name, at]) => base?.entries.get(name) !== at);
  const bulkBytes = tree.bulkBytes - (base?.bulkBytes ?? 0);
  return { ...treeOf(tree), bulkBytes, entries: new Map(entries), onBase: base !== null };
}

export function onTopOf(payload: Payload, base: Subvolume | null): Tree {
  if (base === null) return treeOf(payload);
  const entries = new Map([...base.entries, ...payload.entries]);
  return {
    ...treeOf(payload),
    bulkBytes: base.bulkBytes + payload.bulkBytes,
    entries,
    whole: base.whole && payload.whole,
  };
}

export function notFound(dataset: DatasetId, what: string): ReturnType<typeof failure> {
  return failure("VOLUME_NOT_FOUND", `${dataset} has no ${what} here`);
}

export function assertSize(sizeBytes: number): void {
  const { sizeBytesMin, sizeBytesMax, sizeBytesStep } = localCapabilities;
  const fits = sizeBytes >= sizeBytesMin && sizeBytes <= sizeBytesMax;
  if (!fits || sizeBytes % sizeBytesStep !== 0) {
    throw failure("SIZE_OUT_OF_RANGE", `no volume has ${sizeBytes} bytes here`);
  }
}

export const localCapabilities: LocalBackend["capabilities"] = {
  kind: "local",
  exclusive: "enforced",
  fence: "none",
  sizeBytesMin: 2 ** 20,
  sizeBytesStep: 4096,
  sizeBytesMax: 2 ** 50,
  attachedMax: 1_000,
  listDelayMsMax: 0,
  operationMsMax: 0,
};
