import type { DatasetId, NodeId } from "../../domain/ids.ts";
import type { LocalPool } from "../pool/local-pool.ts";
import { localRef, type Storage, type StoredVolume } from "./storage.ts";
import type { Subvolume } from "../pool/subvolume.ts";
import { failure, type WorldContext } from "./world-context.ts";

export type KernelDevice = {
  readonly path: string;
  readonly diskSequence: number;
  readonly ref: string;
  plugged: boolean;
};

/** One mounted file system with its page cache, for as long as anything refers to it. */
export type Superblock = {
  readonly dataset: DatasetId;
  /** Null for what lies in the node's own pool. */
  readonly device: KernelDevice | null;
  /** Of the node's own pool: its entries are the subvolume's own, and outlive the last user. */
  readonly subvolume: Subvolume | null;
  readonly mountedAtMs: number;
  /** Of its identity, as it was read from the device and written since through this mount. */
  generation: number;
  /** `volume`, `shown`, `container:<id>`, `file:<id>` (an open file, in nobody's mountinfo). */
  readonly users: Set<string>;
  entries: Map<string, number>;
  dirty: boolean;
  /** Shut down without a flush: every access fails. */
  dead: boolean;
  /** Its end was told: who still has it cannot write any more. */
  cut: boolean;
};

export type KernelOptions = {
  readonly context: WorldContext;
  readonly storage: Storage;
  readonly pool: LocalPool;
  readonly node: NodeId;
  readonly era: string;
  /** A child process still works on the dataset. */
  readonly busy: (dataset: DatasetId) => boolean;
};

/** One boot of a machine: devices, mounts and the page cache. All of it is lost with it. */
export class Kernel {
  readonly era: string;
  readonly node: NodeId;
  readonly devices = new Map<string, KernelDevice>();
  readonly superblocks = new Set<Superblock>();
  readonly #context: WorldContext;
  readonly #storage: Storage;
  readonly #pool: LocalPool;
  readonly #busy: KernelOptions["busy"];
  /** Whose last mount has ended while a child still has the device open. */
  readonly #ending = new Set<DatasetId>();
  #sequence = 0;
  dead = false;

  constructor({ context, storage, pool, node, era, busy }: KernelOptions) {
    this.#busy = busy;
    this.#context = context;
    this.#storage = storage;
    this.#pool = pool;
    this.node = node;
    this.era = era;
  }

  plug(ref: string): KernelDevice {
    const known = this.devices.get(ref);
    if (known?.plugged === true) return known;
    this.#sequence += 1;
    const device = {
      path: this.#freePath(),
      diskSequence: this.#sequence,
      ref,
      plugged: true,
    };
    this.devices.set(ref, device);
    return device;
  }

  /** The lowest name that nothing has: one that was another disk's a moment ago. */
  #freePath(): string {
    const used = new Set([...this.devices.values()].map(({ path }) => path));
    let number = 0;
    while (used.has(`/dev/sim${number}`)) number += 1;
    return `/dev/sim${number}`;
  }

  /** Its bus is reset: what is not mounted goes, and comes back under the names that are free. */
  resetBus(backMs: number): void {
    const idle = [...this.devices.values()].filter((device) => this.on(device) === null);
    for (const { ref } of idle) this.unplug(ref);
    if (idle.length > 0) this.#context.marks.hit("devices renamed");
    this.#context.clock.after(backMs, () => {
      for (const { ref } of idle.toReversed()) {
        const owner = this.#storage.volumes.get(ref)?.attachment?.era;
        if (!this.dead && owner === this.era) this.plug(ref);
      }
    });
  }

  unplug(ref: string): void {
    const device = this.devices.get(ref);
    if (device !== undefined) device.plugged = false;
    this.devices.delete(ref);
  }

  device(at: { readonly path: string; readonly diskSequence: number }): KernelDevice {
    for (const device of this.devices.values()) {
      if (device.path === at.path && device.diskSequence === at.diskSequence) return device;
    }
    throw failure("BACKEND_REJECTED", `${at.path} is another disk by now`);
  }

  on(device: KernelDevice): Superblock | null {
    return [...this.superblocks].find((one) => one.device === device) ?? null;
  }

  mounted(dataset: DatasetId, as: "volume" | "shown"): Superblock | null {
    for (const one of this.superblocks) {
      if (one.dataset === dataset && one.users.has(as)) return one;
    }
    return null;
  }

  /** Everything of a dataset that is open here in any way. */
  open(dataset: DatasetId): readonly Superblock[] {
    return [...this.superblocks].filter((one) => one.dataset === dataset);
  }

  mount(dataset: DatasetId, device: KernelDevice): Superblock {
    const disk = this.volume(device).disk;
    const shared = this.on(device);
    if (shared?.dead === true) throw failure("BACKEND_REJECTED", "the file system is shut down");
    const superblock = shared ?? {
      dataset,
      device,
      subvolume: null,
      mountedAtMs: this.#context.nowMs,
      generation: disk.generation,
      users: new Set<string>(),
      entries: new Map(disk.entries),
      dirty: false,
      dead: false,
      cut: false,
    };
    superblock.users.add("volume");
    this.superblocks.add(superblock);
    return superblock;
  }

  /** Binds a volume of the node's own pool privately. */
  bind(dataset: DatasetId, subvolume: Subvolume): Superblock {
    const shared = this.open(dataset).find((one) => one.subvolume === subvolume && !one.dead);
    const superblock = shared ?? {
      dataset,
      device: null,
      subvolume,
      mountedAtMs: this.#context.nowMs,
      generation: 0,
      users: new Set<string>(),
      entries: subvolume.entries,
      dirty: false,
      dead: false,
      cut: false,
    };
    superblock.users.add("volume");
    this.superblocks.add(superblock);
    return superblock;
  }

  /** One append, into the page cache: a read-only flag does not stop whoever has the file open. */
  append(superblock: Superblock, writer: string, sequence: number): void {
    superblock.dirty = true;
    const { subvolume } = superblock;
    if (subvolume === null) superblock.entries.set(writer, sequence);
    else {
      if (subvolume.sealedFor !== null) this.#context.marks.hit("written after the seal");
      subvolume.write(writer, sequence);
    }
  }

  /** The last user's end flushes what is dirty: a clean unmount when that is the agent's. */
  drop(superblock: Superblock, user: string): void {
    if (!superblock.users.delete(user) || superblock.users.size > 0) return;
    const clean = user === "volume";
    if (superblock.dirty && superblock.subvolume === null) this.flush(superblock, clean);
    this.superblocks.delete(superblock);
    if (!superblock.cut) this.#closed(superblock.dataset);
  }

  #closed(dataset: DatasetId): void {
    if (this.#busy(dataset)) this.#ending.add(dataset);
    else this.#context.tell({ kind: "closed", dataset, node: this.node });
  }

  /** The last child that worked on it has ended. */
  idle(dataset: DatasetId): void {
    if (!this.#ending.delete(dataset) || this.dead) return;
    if (this.open(dataset).some(({ dead }) => !dead)) return;
    this.#context.tell({ kind: "closed", dataset, node: this.node });
  }

  shutDown(superblock: Superblock): void {
    superblock.users.delete("volume");
    superblock.users.delete("shown");
    if (superblock.users.size === 0) this.superblocks.delete(superblock);
    this.#end(superblock);
  }

  /** Nothing of it reaches the storage any more, whoever still has it open. */
  #end(superblock: Superblock): void {
    superblock.dead = true;
    superblock.dirty = false;
    if (superblock.cut) return;
    superblock.cut = true;
    this.#closed(superblock.dataset);
  }

  /** Its memory is an earlier one: what is mounted shows pages of then, and writes them back. */
  setBack(views: ReadonlyMap<Superblock, ReadonlyMap<string, number>>): void {
    for (const superblock of this.superblocks) {
      const view = views.get(superblock);
      if (view === undefined || superblock.dead) continue;
      superblock.entries = new Map(view);
      superblock.dirty = true;
    }
  }

  /** Writes the whole view back: what somebody else wrote meanwhile is overwritten. */
  flush(superblock: Superblock, clean = false): boolean {
    const { device, subvolume } = superblock;
    if (subvolume !== null) return this.#syncLocal(superblock, subvolume);
    if (device === null) return false;
    const from = { sinceMs: superblock.mountedAtMs, clean };
    const written = this.write(device, from, ({ disk }) => {
      disk.entries = new Map(superblock.entries);
    });
    if (written) superblock.dirty = false;
    else this.#end(superblock);
    return written;
  }

  #syncLocal(superblock: Superblock, subvolume: Subvolume): boolean {
    if (this.dead) return false;
    const { dataset, mountedAtMs } = superblock;
    this.#pool.syncFile(dataset, subvolume);
    superblock.dirty = false;
    const { node } = this;
    this.#context.tell({
      kind: "block_written",
      dataset,
      ref: localRef(dataset),
      node,
      mountedAtMs,
      clean: false,
    });
    return true;
  }

  /** One write to the storage; false when it refused: EIO. */
  write(
    device: KernelDevice,
    { sinceMs, clean = false }: { readonly sinceMs: number; readonly clean?: boolean },
    change: (volume: StoredVolume) => void,
  ): boolean {
    const volume = this.#storage.volumes.get(device.ref);
    if (this.dead || volume === undefined || volume.destroyed || !this.reaches(device, volume)) {
      return false;
    }
    change(volume);
    this.#context.tell({
      kind: "block_written",
      dataset: volume.dataset,
      ref: volume.ref,
      node: this.node,
      mountedAtMs: sinceMs,
      clean,
    });
    return true;
  }

  /** Advisory exclusivity is a record that stops nobody. */
  reaches(device: KernelDevice, volume: StoredVolume): boolean {
    if (!device.plugged) return false;
    if (this.#context.traits.exclusive === "advisory") return true;
    return volume.attachment?.era === this.era;
  }

  volume(device: KernelDevice): StoredVolume {
    const volume = this.#storage.volumes.get(device.ref);
    if (volume === undefined || volume.destroyed || !this.reaches(device, volume)) {
      throw failure("COMMAND_FAILED", `${device.path}: input/output error`);
    }
    return volume;
  }
}
