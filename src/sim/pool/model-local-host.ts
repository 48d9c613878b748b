import type { LocalHost, Mounts } from "../../agent/core/host.ts";
import type { DatasetId } from "../../domain/ids.ts";
import type { Holder } from "../../domain/volume.ts";
import type { Superblock } from "../world/kernel.ts";
import type { Machine } from "../world/machine.ts";
import type { ModelHost, Surroundings } from "../world/model-host.ts";
import { localRef } from "../world/storage.ts";
import { failure } from "../world/world-context.ts";
import type { Subvolume } from "./subvolume.ts";

/** `LocalHost` over the model of one machine: what stands beside the block volumes' host. */
export class ModelLocalHost implements LocalHost {
  readonly machine: Machine;
  readonly around: Surroundings;
  readonly #host: ModelHost;

  constructor(machine: Machine, around: Surroundings, host: ModelHost) {
    this.machine = machine;
    this.around = around;
    this.#host = host;
  }

  mounts(dataset: DatasetId): Promise<Mounts> {
    return this.#host.mounts(dataset);
  }

  hide(dataset: DatasetId): Promise<void> {
    return this.#host.hide(dataset);
  }

  unmountVolume(dataset: DatasetId): Promise<void> {
    return this.#host.unmountVolume(dataset);
  }

  #step<T>(dataset: DatasetId, locked: boolean, effect: () => T): Promise<T> {
    const { parent } = this.around;
    const runMs = this.machine.context.prng.between(1, 40);
    return this.machine.child({ dataset, parent, locked, runMs, deadlineMs: 30_000 }, effect);
  }

  bindVolume(dataset: DatasetId): Promise<void> {
    return this.#step(dataset, true, () => {
      const { kernel, pool } = this.machine;
      const { volume } = pool.at(dataset);
      if (pool.missing || volume === null) throw failure("COMMAND_FAILED", "no such directory");
      const bound = kernel.mounted(dataset, "volume");
      if (bound === null) kernel.bind(dataset, volume);
      else if (bound.subvolume !== volume) throw failure("VOLUME_BUSY", "something else is there");
    });
  }

  show(dataset: DatasetId): Promise<void> {
    return this.#step(dataset, true, () => {
      const superblock = this.machine.kernel.mounted(dataset, "volume");
      const volume = superblock?.subvolume ?? null;
      if (superblock === null || volume === null) throw failure("COMMAND_FAILED", "nothing bound");
      if (superblock.users.has("shown")) return;
      superblock.users.add("shown");
      this.#tellShown(dataset, volume);
    });
  }

  #tellShown(dataset: DatasetId, volume: Subvolume): void {
    const { context, node, kernel, storage } = this.machine;
    storage.shownLocal.add(dataset);
    context.tell({
      kind: "shown",
      dataset,
      ref: localRef(dataset),
      node,
      era: kernel.era,
      generation: volume.identity.generation,
      mkfs: volume.mkfs,
      entries: volume.entries,
    });
    const { sealedFor, limitBytes, whole, lastShown: descends } = volume;
    const { generation } = volume.identity;
    volume.lastShown = generation;
    const writable = sealedFor === null;
    const what = { dataset, node, writable, limitBytes, whole, generation, descends };
    context.tell({ kind: "local_shown", ...what });
  }

  holdersAt(dataset: DatasetId): Promise<readonly Holder[]> {
    return this.#step(dataset, false, () => {
      const { kernel, pool } = this.machine;
      const { volume } = pool.at(dataset);
      return kernel
        .open(dataset)
        .filter(({ subvolume }) => subvolume === volume || volume === null)
        .flatMap((one) => this.holdersOf(one));
    });
  }

  /** By mountinfo, and by the open files of all processes. */
  protected holdersOf({ users }: Superblock): readonly Holder[] {
    return [...users]
      .filter((user) => user.startsWith("container:") || user.startsWith("file:"))
      .map((user) => {
        const container = user.startsWith("container:") ? user.slice("container:".length) : null;
        return { pid: 1, command: "writer", container };
      });
  }

  /** Who is killed ends with its next access, at the latest. */
  stop(dataset: DatasetId): Promise<void> {
    return this.#step(dataset, true, () => {
      const { kernel, context } = this.machine;
      for (const superblock of kernel.open(dataset)) {
        const ours = superblock.users.has("volume") || superblock.users.has("shown");
        if (superblock.dead && !ours) continue;
        context.marks.hit("superseded node stopped");
        this.#host.tellTakenDown(dataset, "cut");
        kernel.shutDown(superblock);
      }
    });
  }
}
