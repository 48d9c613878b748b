import type { ClusterId, DatasetId, OpId } from "../../domain/ids.ts";
import type { StreamStage } from "../../domain/local-copy.ts";
import type { Identity } from "../../domain/volume.ts";
import { FlockerError } from "../../lib/errors.ts";

/** What a volume or a snapshot of it holds: file names and texts, and the identity beside them. */
export type Tree = { readonly identity: Identity; readonly files: ReadonlyMap<string, string> };

/** The live volume, or the sealed one: it is in its place, but for readers alone. */
export type MemoryVolume = {
  identity: Identity;
  readonly files: Map<string, string>;
  readonly sizeBytes: number;
  /** The move whose copy this was made live from. */
  readonly madeFrom: OpId | null;
  sealedFor: OpId | null;
  /** Counts what is written, as the generation number of a subvolume does. */
  changes: number;
};

/** Everything of one dataset. Snapshots and copies are named by their move and stage. */
export type MemoryDataset = {
  volume: MemoryVolume | null;
  readonly sent: Map<string, { readonly tree: Tree; readonly changes: number }>;
  /** Null for what did not come through whole. */
  readonly receiving: Map<string, Tree | null>;
  readonly copies: Map<string, Tree>;
  readonly diverged: Tree[];
};

export function nameOf(move: OpId, stage: StreamStage): string {
  return `${move}.${stage}`;
}

/** A node's pool in memory, with what a bench does to volumes behind the driver's back. */
export class MemoryPool {
  readonly poolId: string;
  readonly clusterId: ClusterId;
  readonly sizeBytes = 2 ** 30;
  readonly datasets = new Map<DatasetId, MemoryDataset>();
  /** Volumes that somebody has a file open in, and who writes without a pause. */
  readonly holders = new Map<MemoryVolume, number>();
  readonly writers = new Set<MemoryVolume>();
  missing = false;

  constructor(poolId: string, clusterId: ClusterId) {
    this.poolId = poolId;
    this.clusterId = clusterId;
  }

  at(datasetId: DatasetId): MemoryDataset {
    const found = this.datasets.get(datasetId);
    if (found !== undefined) return found;
    const made: MemoryDataset = {
      volume: null,
      sent: new Map(),
      receiving: new Map(),
      copies: new Map(),
      diverged: [],
    };
    this.datasets.set(datasetId, made);
    return made;
  }

  /** As a process does that has the volume's `data` open: sealed or not, its writes land. */
  write(volume: MemoryVolume, name: string, text: string): void {
    const used = bytesOf(volume.files) - (volume.files.get(name)?.length ?? 0);
    if (used + text.length > volume.sizeBytes) {
      throw new FlockerError("POOL_FULL", "Disk quota exceeded");
    }
    volume.files.set(name, text);
    volume.changes += 1;
  }

  hold(volume: MemoryVolume, writes: boolean): Disposable {
    this.holders.set(volume, (this.holders.get(volume) ?? 0) + 1);
    if (writes) this.writers.add(volume);
    return {
      [Symbol.dispose]: () => {
        this.holders.set(volume, (this.holders.get(volume) ?? 1) - 1);
        this.writers.delete(volume);
      },
    };
  }

  usedBytes(): number {
    let used = 0;
    for (const { volume, sent, receiving, copies, diverged } of this.datasets.values()) {
      const trees = [
        ...(volume === null ? [] : [volume]),
        ...[...sent.values()].map(({ tree }) => tree),
        ...[...receiving.values()].filter((tree) => tree !== null),
        ...copies.values(),
        ...diverged,
      ];
      for (const { files } of trees) used += bytesOf(files);
    }
    return used;
  }
}

export function bytesOf(files: ReadonlyMap<string, string>): number {
  return [...files.values()].reduce((sum, text) => sum + text.length, 0);
}
