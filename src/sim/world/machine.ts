import type { ClusterFile, RunFile } from "../../agent/core/effects.ts";
import { type BootId, type DatasetId, type NodeId, parseBootId } from "../../domain/ids.ts";
import { Strand } from "../clock.ts";
import { Kernel } from "./kernel.ts";
import { LocalPool } from "../pool/local-pool.ts";
import type { Storage } from "./storage.ts";
import { failure, type WorldContext } from "./world-context.ts";

export type MachineName = {
  readonly node: NodeId;
  readonly index: number;
  readonly certificate?: NodeId;
};

export type ChildOptions = {
  readonly dataset: DatasetId;
  /** Who waits for it; the child goes on when that has ended. */
  readonly parent: Strand;
  /** Holds the lock of the dataset until it has ended. */
  readonly locked: boolean;
  readonly runMs: number;
  readonly deadlineMs: number;
};

/** One host: what survives what. Disk: everything. /run and kernel: one boot. */
export class Machine {
  readonly context: WorldContext;
  readonly storage: Storage;
  readonly node: NodeId;
  /** The node that its agent speaks for: a clone has the one of another machine. */
  readonly certificate: NodeId;
  readonly index: number;
  fingerprint: string;
  bootId: BootId;
  runId: string;
  powered = false;
  /** Off for ever: the hardware is gone. */
  lost = false;
  disk: { cluster: ClusterFile | null } = { cluster: null };
  run: { file: RunFile | null } = { file: null };
  /** The node's own disk, for local volumes. */
  readonly pool: LocalPool;
  kernel: Kernel;
  /** Kernel, children and containers: what ends with the boot only. */
  strand: Strand;
  ignoresLocks = false;
  /** Its memory is an earlier one. */
  isSetBack = false;
  /** Children that hold the lock of a dataset, by whom they were started. */
  readonly locks = new Map<DatasetId, Map<Strand, number>>();
  #stoppedMs = 0;
  #stoppedAtMs: number | null = null;

  constructor(context: WorldContext, storage: Storage, at: MachineName) {
    this.context = context;
    this.storage = storage;
    this.node = at.node;
    this.certificate = at.certificate ?? at.node;
    this.index = at.index;
    this.fingerprint = `machine-${at.index}`;
    this.bootId = parseBootId(context.prng.uuid());
    this.runId = context.prng.uuid();
    this.strand = new Strand(context.clock);
    this.pool = new LocalPool(context.prng.uuid(), context.traits.poolBytes);
    storage.pools.push(this.pool);
    this.kernel = this.#boot();
  }

  /** The guest's monotonic clock: it stands still while the machine is stopped. */
  get nowMs(): number {
    const stopped = this.#stoppedAtMs === null ? 0 : this.context.nowMs - this.#stoppedAtMs;
    return 1_000 + this.context.nowMs - this.#stoppedMs - stopped;
  }

  get stopped(): boolean {
    return this.#stoppedAtMs !== null;
  }

  powerOn(): void {
    const { context } = this;
    this.powered = true;
    this.bootId = parseBootId(context.prng.uuid());
    this.runId = context.prng.uuid();
    this.run = { file: null };
    this.isSetBack = false;
    this.strand = new Strand(context.clock);
    this.kernel = this.#boot();
    this.strand.every(7_000, () => this.#writeBack());
  }

  #boot(): Kernel {
    const { context, storage, pool, node, bootId: era } = this;
    const busy = (dataset: DatasetId): boolean => this.locks.has(dataset);
    return new Kernel({ context, storage, pool, node, era, busy });
  }

  /** Power loss: unsynced pages, children, mounts and /run are gone; the storage goes on. */
  powerOff(): void {
    const { marks } = this.context;
    if ([...this.kernel.superblocks].some(({ dirty }) => dirty)) {
      marks.hit("node crashed with dirty pages");
    }
    this.powered = false;
    this.strand.kill();
    this.kernel.dead = true;
    this.locks.clear();
    this.pool.powerCut(this.context.prng);
    if (this.#stoppedAtMs !== null) this.go();
    this.context.tell({ kind: "machine_died", node: this.node });
  }

  stop(): void {
    this.#stoppedAtMs ??= this.context.nowMs;
    this.strand.stop("machine");
  }

  go(): void {
    if (this.#stoppedAtMs !== null) this.#stoppedMs += this.context.nowMs - this.#stoppedAtMs;
    this.#stoppedAtMs = null;
    this.strand.go("machine");
  }

  #writeBack(): void {
    for (const superblock of this.kernel.superblocks) {
      if (superblock.dirty && !superblock.dead) this.kernel.flush(superblock);
    }
    if (this.context.prng.chance(0.5)) this.pool.commitAll();
  }

  /** A child still holds the lock. */
  busy(dataset: DatasetId): boolean {
    return this.locks.has(dataset);
  }

  /** Runs a child process; its effect happens also when the parent has ended by then. */
  child<T>(options: ChildOptions, effect: () => T): Promise<T> {
    const { context, strand } = this;
    const { dataset, parent, locked } = options;
    if (locked && this.locks.has(dataset) && !this.ignoresLocks) {
      return Promise.reject(failure("BUSY_CHILD", `another process holds the lock of ${dataset}`));
    }
    const hangs = locked && !context.healed && context.prng.chance(context.traits.childHang);
    if (hangs) context.marks.hit("child hung");
    const runMs = hangs ? options.deadlineMs + context.prng.between(1_000, 60_000) : options.runMs;
    if (locked) this.#lock(dataset, parent, 1);
    return context.turns.wait<T>((resolve, reject) => {
      strand.after(runMs, () => {
        if (locked) this.#lock(dataset, parent, -1);
        if (!parent.alive && locked) context.marks.hit("child outlived its agent");
        let end: () => void;
        try {
          const value = effect();
          end = () => resolve(value);
        } catch (error) {
          end = () => reject(error);
        }
        if (locked && !this.locks.has(dataset)) this.kernel.idle(dataset);
        parent.deliver(end);
      });
      if (!hangs) return;
      // A child in the D state outlives its SIGKILL, and keeps the lock, rightly.
      parent.after(options.deadlineMs, () =>
        reject(failure("DEADLINE_EXCEEDED", "the child did not end")),
      );
    });
  }

  /**
   * A child that ends when something else does (a stream): `start` is given what ends it. It ends
   * with its parent too, but takes a while for that.
   */
  longChild<T>(
    { dataset, parent }: { readonly dataset: DatasetId | null; readonly parent: Strand },
    start: (finish: (effect: () => T) => void) => void,
  ): Promise<T> {
    const { context, strand } = this;
    if (dataset !== null && this.locks.has(dataset) && !this.ignoresLocks) {
      return Promise.reject(failure("BUSY_CHILD", `another process holds the lock of ${dataset}`));
    }
    if (dataset !== null) this.#lock(dataset, parent, 1);
    return context.turns.wait<T>((resolve, reject) => {
      const finish = (effect: () => T): void =>
        strand.deliver(() => {
          if (dataset !== null) this.#lock(dataset, parent, -1);
          if (!parent.alive) context.marks.hit("stream's child outlived its agent");
          let end: () => void;
          try {
            const value = effect();
            end = () => resolve(value);
          } catch (error) {
            end = () => reject(error);
          }
          if (dataset !== null && !this.locks.has(dataset)) this.kernel.idle(dataset);
          parent.deliver(end);
        });
      start(finish);
    });
  }

  #lock(dataset: DatasetId, parent: Strand, change: 1 | -1): void {
    const holders = this.locks.get(dataset) ?? new Map<Strand, number>();
    const count = (holders.get(parent) ?? 0) + change;
    if (count > 0) holders.set(parent, count);
    else holders.delete(parent);
    if (holders.size > 0) this.locks.set(dataset, holders);
    else this.locks.delete(dataset);
  }
}
