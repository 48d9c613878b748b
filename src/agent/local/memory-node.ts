import type { MemoryPool, MemoryVolume } from "../../backends/memory/memory-pool.ts";
import type { DatasetId } from "../../domain/ids.ts";
import type { Holder } from "../../domain/volume.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { LocalHost, Mounts } from "../core/host.ts";

/** What a node's kernel has of its local volumes, in memory: the simplest correct `LocalHost`. */
export class MemoryLocalHost implements LocalHost {
  readonly bound = new Map<DatasetId, string>();
  readonly shownNow = new Set<DatasetId>();
  readonly #pool: MemoryPool;

  constructor(pool: MemoryPool) {
    this.#pool = pool;
  }

  async mounts(datasetId: DatasetId): Promise<Mounts> {
    const volume = this.bound.has(datasetId);
    return { volume, shown: this.shownNow.has(datasetId), deviceNumber: null };
  }

  async bindVolume(datasetId: DatasetId, path: string): Promise<void> {
    this.bound.set(datasetId, path);
  }

  async show(datasetId: DatasetId): Promise<void> {
    if (!this.bound.has(datasetId)) throw new FlockerError("INTERNAL", "Nothing to show.");
    this.shownNow.add(datasetId);
  }

  async hide(datasetId: DatasetId): Promise<void> {
    this.shownNow.delete(datasetId);
  }

  async unmountVolume(datasetId: DatasetId): Promise<void> {
    this.bound.delete(datasetId);
  }

  async holdersAt(datasetId: DatasetId): Promise<readonly Holder[]> {
    const volume = this.#volume(datasetId);
    const count = volume === null ? 0 : (this.#pool.holders.get(volume) ?? 0);
    const one = { pid: 7, command: "writer", container: null };
    return Array.from({ length: count }, () => one);
  }

  async stop(datasetId: DatasetId): Promise<void> {
    const volume = this.#volume(datasetId);
    if (volume !== null) this.#pool.holders.delete(volume);
    await this.hide(datasetId);
    await this.unmountVolume(datasetId);
  }

  #volume(datasetId: DatasetId): MemoryVolume | null {
    return this.#pool.datasets.get(datasetId)?.volume ?? null;
  }
}
