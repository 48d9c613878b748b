import type { DatasetId } from "../../domain/ids.ts";
import type { LocalCopy, PoolUsage } from "../../domain/local-copy.ts";
import type { LocalBackend } from "../../backends/local.ts";
import type { Machine } from "../world/machine.ts";
import type { Surroundings } from "../world/model-host.ts";
import { failure } from "../world/world-context.ts";
import { type LocalPool, moveOf, type Names } from "./local-pool.ts";
import { liveOf, localCapabilities, shownAs } from "./local-tree.ts";

/** What a driver of a local pool only looks at, and how it runs its children. */
export class LocalReads {
  readonly machine: Machine;
  readonly around: Surroundings;
  readonly pool: LocalPool;
  readonly fileSystem = "model";
  /** What the agent was told at its first start; a pool with another one is another pool. */
  readonly poolId: string;

  constructor(machine: Machine, around: Surroundings) {
    this.machine = machine;
    this.around = around;
    this.pool = machine.pool;
    this.poolId = machine.pool.id;
  }

  get capabilities(): LocalBackend["capabilities"] {
    return localCapabilities;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  protected read<T>(dataset: DatasetId, effect: (names: Names) => T): Promise<T> {
    return this.#child(dataset, { locked: false, low: 1, high: 20 }, effect);
  }

  protected step<T>(dataset: DatasetId, effect: (names: Names) => T): Promise<T> {
    return this.#child(dataset, { locked: true, low: 1, high: 120 }, effect);
  }

  #child<T>(
    dataset: DatasetId,
    how: { readonly locked: boolean; readonly low: number; readonly high: number },
    effect: (names: Names) => T,
  ): Promise<T> {
    const { machine } = this;
    const { parent } = this.around;
    const runMs = machine.context.prng.between(how.low, how.high);
    const { locked } = how;
    return machine.child({ dataset, parent, locked, runMs, deadlineMs: 30_000 }, () =>
      effect(this.there().at(dataset)),
    );
  }

  protected there(): LocalPool {
    if (!this.pool.missing) return this.pool;
    throw failure("POOL_MISSING", `pool ${this.poolId} is not there`);
  }

  async usage(): Promise<PoolUsage> {
    const { sizeBytes } = this.there();
    return { sizeBytes, freeBytes: sizeBytes - this.pool.usedBytes() };
  }

  async list(): Promise<readonly DatasetId[]> {
    return this.there().datasets();
  }

  look(datasetId: DatasetId): Promise<readonly LocalCopy[]> {
    return this.read(datasetId, copiesOf);
  }

  usedBytes(datasetId: DatasetId): Promise<number | null> {
    return this.read(datasetId, (names) => {
      const volume = liveOf(names);
      return volume === null ? null : volume.bulkBytes + volume.entries.size;
    });
  }
}

export function copiesOf({ volume, receiving, copies, diverged }: Names): readonly LocalCopy[] {
  return [
    ...(volume === null ? [] : [shownAs(volume)]),
    ...[...copies].map(([name, { identity }]): LocalCopy => {
      const move = moveOf(name);
      return name.endsWith(".delta")
        ? { kind: "received", identity, move }
        : { kind: "base", move };
    }),
    ...[...receiving.keys()].map((name): LocalCopy => ({ kind: "partial", move: moveOf(name) })),
    ...diverged.map(({ identity }): LocalCopy => ({ kind: "diverged", identity })),
  ];
}
