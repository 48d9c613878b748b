import type { Content, Host, Mounts } from "../../agent/core/host.ts";
import type { ClusterId, DatasetId } from "../../domain/ids.ts";
import type { Device, Holder, Identity } from "../../domain/volume.ts";
import type { Strand } from "../clock.ts";
import type { KernelDevice, Superblock } from "./kernel.ts";
import type { Machine } from "./machine.ts";
import type { StoredVolume } from "./storage.ts";
import { failure } from "./world-context.ts";

/** What the shells tell the host about themselves: for the witness beside the machine, no more. */
export type Surroundings = {
  readonly parent: Strand;
  readonly clusterId: ClusterId;
  /** The control service spoke to this process. */
  readonly heardControl: () => boolean;
  /** Containers, and Mounts answered and not taken back, of a dataset. */
  readonly users: (dataset: DatasetId) => readonly string[];
};

/** `Host` over the model of one machine. Each step is a child process that outlives its parent. */
export class ModelHost implements Host {
  readonly machine: Machine;
  readonly around: Surroundings;

  constructor(machine: Machine, around: Surroundings) {
    this.machine = machine;
    this.around = around;
  }

  #child<T>(dataset: DatasetId, runMs: number, effect: () => T): Promise<T> {
    const { parent } = this.around;
    const options = { dataset, parent, locked: true, runMs, deadlineMs: 30_000 };
    return this.machine.child(options, effect);
  }

  #read<T>(dataset: DatasetId, effect: () => T): Promise<T> {
    const runMs = this.machine.context.prng.between(1, 20);
    const { parent } = this.around;
    const options = { dataset, parent, locked: false, runMs, deadlineMs: 30_000 };
    return this.machine.child(options, effect);
  }

  #pace(low: number, high: number): number {
    return this.machine.context.prng.between(low, high);
  }

  mounts(dataset: DatasetId): Promise<Mounts> {
    const { kernel } = this.machine;
    const volume = kernel.mounted(dataset, "volume");
    const shown = kernel.mounted(dataset, "shown");
    const device = (shown ?? volume)?.device;
    return Promise.resolve({
      volume: volume !== null,
      shown: shown !== null,
      deviceNumber: device === undefined || device === null ? null : `7:${device.diskSequence}`,
    });
  }

  holders(dataset: DatasetId, device: Device | null): Promise<readonly Holder[]> {
    return this.#read(dataset, () => {
      const { kernel } = this.machine;
      const open = kernel
        .open(dataset)
        .filter((one) =>
          device === null ? !one.dead : one.device?.diskSequence === device.diskSequence,
        );
      return open.flatMap((one) => containersOf(one));
    });
  }

  inspect(
    device: Device,
    expected: Pick<Identity, "clusterId" | "datasetId" | "lineage">,
  ): Promise<Content> {
    return this.#read(expected.datasetId, () => {
      const { kernel } = this.machine;
      const { disk } = kernel.volume(kernel.device(device));
      if (disk.state === "blank") return { kind: "blank" };
      if (disk.datasetId !== expected.datasetId) {
        return { kind: "foreign", detail: `it belongs to ${disk.datasetId}` };
      }
      if (disk.state === "partial" || disk.lineage === null) {
        this.machine.context.marks.hit("mkfs interrupted");
        return { kind: "unfinished" };
      }
      const { clusterId, datasetId } = expected;
      const { lineage, generation } = disk;
      const shown = generation > 0 || disk.entries.size > 0;
      if (lineage !== expected.lineage && !shown) return { kind: "unfinished" };
      return { kind: "ours", identity: { clusterId, datasetId, lineage, generation } };
    });
  }

  async format(device: Device, identity: Identity): Promise<void> {
    const { storage, context } = this.machine;
    const mkfs = storage.newMkfs();
    const begunMs = context.nowMs;
    const { strand } = this.machine;
    let begun = false;
    if (this.machine.ignoresLocks || !this.machine.locks.has(identity.datasetId)) {
      strand.after(1, () => {
        begun = this.#beginMkfs(device, identity, begunMs);
      });
    }
    await this.#child(identity.datasetId, this.#pace(50, 4_000), () => {
      if (!begun) throw failure("COMMAND_FAILED", "mkfs: I/O error");
      this.#mkfs(device, begunMs, ({ disk }) => {
        disk.state = "formatted";
        disk.mkfs = mkfs;
        disk.lineage = identity.lineage;
        disk.generation = 0;
        disk.entries = new Map();
      });
    });
  }

  /** Its first blocks: what is left of a mkfs that a crash interrupts. */
  #beginMkfs(device: Device, identity: Identity, sinceMs: number): boolean {
    try {
      this.#mkfs(device, sinceMs, ({ disk }) => {
        disk.state = "partial";
        disk.datasetId = identity.datasetId;
      });
      return true;
    } catch {
      return false; // The child says so when it ends.
    }
  }

  #mkfs(device: Device, sinceMs: number, change: (volume: StoredVolume) => void): void {
    const { kernel, context } = this.machine;
    const at = kernel.device(device);
    const volume = kernel.volume(at);
    context.tell({
      kind: "mkfs_written",
      dataset: volume.dataset,
      ref: volume.ref,
      node: this.machine.node,
      shownBefore: volume.wasShown || volume.disk.entries.size > 0,
    });
    if (!kernel.write(at, { sinceMs }, change)) throw failure("COMMAND_FAILED", "mkfs: I/O error");
  }

  async mountVolume(device: Device, identity: Identity): Promise<void> {
    const { kernel, context } = this.machine;
    const { datasetId } = identity;
    const content = await this.inspect(device, identity);
    if (content.kind !== "ours" || content.identity.lineage !== identity.lineage) {
      throw failure("BACKEND_REJECTED", "the identity is another one");
    }
    if (content.identity.generation > identity.generation) {
      throw failure("BACKEND_REJECTED", "a later generation was here");
    }
    const superblock = await this.#child(datasetId, this.#pace(5, 2_000), () =>
      kernel.mount(datasetId, this.deviceAt(device)),
    );
    await this.#child(datasetId, this.#pace(1, 10), () => {
      // Read again through the mount: another node may have used it since the look before.
      if (superblock.generation > identity.generation) {
        kernel.drop(superblock, "volume");
        throw failure("BACKEND_REJECTED", "a later generation was here");
      }
      const from = { sinceMs: superblock.mountedAtMs };
      const written = kernel.write(this.deviceAt(device), from, ({ disk }) => {
        disk.generation = Math.max(disk.generation, identity.generation);
        superblock.generation = identity.generation;
      });
      if (written) return;
      context.marks.hit("fsync failed");
      kernel.drop(superblock, "volume");
      throw failure("COMMAND_FAILED", "the identity cannot be written: I/O error");
    });
  }

  protected deviceAt(device: Device): KernelDevice {
    return this.machine.kernel.device(device);
  }

  show(dataset: DatasetId): Promise<void> {
    return this.#child(dataset, this.#pace(1, 50), () => {
      const { kernel, context, node } = this.machine;
      const superblock = kernel.mounted(dataset, "volume");
      const device = superblock?.device ?? null;
      if (superblock === null || device === null) {
        throw failure("COMMAND_FAILED", "it is not mounted");
      }
      if (superblock.users.has("shown")) return;
      const volume = kernel.volume(device);
      superblock.users.add("shown");
      volume.wasShown = true;
      context.tell({
        kind: "shown",
        dataset,
        ref: volume.ref,
        node,
        era: kernel.era,
        generation: superblock.generation,
        mkfs: volume.disk.mkfs,
        entries: superblock.entries,
      });
    });
  }

  hide(dataset: DatasetId): Promise<void> {
    return this.#child(dataset, this.#pace(1, 30), () => {
      const superblock = this.machine.kernel.mounted(dataset, "shown");
      if (superblock === null) return;
      this.tellTakenDown(dataset, "hide");
      this.machine.kernel.drop(superblock, "shown");
    });
  }

  unmountVolume(dataset: DatasetId): Promise<void> {
    return this.#child(dataset, this.#pace(1, 500), () => {
      const superblock = this.machine.kernel.mounted(dataset, "volume");
      if (superblock === null) return;
      this.tellTakenDown(dataset, "unmount");
      this.machine.kernel.drop(superblock, "volume");
    });
  }

  async holdExclusively(device: Device): Promise<{ readonly release: () => Promise<void> }> {
    const { kernel } = this.machine;
    const at = kernel.device(device);
    if (kernel.on(at) !== null) throw failure("VOLUME_BUSY", `${device.path} is in use`);
    return { release: () => Promise.resolve() };
  }

  cut(dataset: DatasetId): Promise<void> {
    return this.#read(dataset, () => {
      const { kernel, context } = this.machine;
      for (const superblock of kernel.open(dataset)) {
        const ours = superblock.users.has("volume") || superblock.users.has("shown");
        if (superblock.dead && !ours) continue;
        context.marks.hit("superseded node cut");
        this.tellTakenDown(dataset, "cut");
        kernel.shutDown(superblock);
      }
    });
  }

  mountedDatasets(): Promise<readonly DatasetId[]> {
    return Promise.resolve(this.mountedNow());
  }

  mountedNow(): readonly DatasetId[] {
    return [...new Set([...this.machine.kernel.superblocks].map(({ dataset }) => dataset))].filter(
      (dataset) => {
        const { kernel } = this.machine;
        return kernel.mounted(dataset, "volume") ?? kernel.mounted(dataset, "shown");
      },
    );
  }

  tellTakenDown(dataset: DatasetId, step: "hide" | "unmount" | "cut"): void {
    this.machine.context.tell({
      kind: "taken_down",
      dataset,
      node: this.machine.node,
      step,
      users: this.around.users(dataset),
      heardControl: this.around.heardControl(),
    });
  }
}

/** Whoever has a mount of it besides our own two; an open file alone is in no mountinfo. */
export function containersOf(superblock: Superblock): readonly Holder[] {
  return [...superblock.users]
    .filter((user) => user.startsWith("container:"))
    .map((user) => ({ pid: 1, command: "writer", container: user.slice("container:".length) }));
}
