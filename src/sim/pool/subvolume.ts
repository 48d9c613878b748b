import type { OpId } from "../../domain/ids.ts";
import type { Identity } from "../../domain/volume.ts";

/** What a volume holds: its identity beside its data, and the highest sequence of each writer. */
export type Tree = {
  readonly identity: Identity;
  /** Which create of the world made it. */
  readonly mkfs: number;
  /** Bytes besides what writers append: what a full pool and a long stream are made of. */
  readonly bulkBytes: number;
  readonly entries: ReadonlyMap<string, number>;
  /** False once a part of it was taken for all of it. */
  readonly whole: boolean;
  /** The last generation under which it, or what it was made of, was shown. */
  readonly lastShown: number;
};

type Contents = {
  readonly identity: Identity;
  readonly sealedFor: OpId | null;
  readonly limitBytes: number | null;
  readonly bulkBytes: number;
  readonly changes: number;
  readonly entries: ReadonlyMap<string, number>;
};

/** One subvolume: what its readers see, and what of it a power cut leaves. */
export class Subvolume implements Tree {
  identity: Identity;
  readonly mkfs: number;
  bulkBytes: number;
  readonly entries: Map<string, number>;
  readonly whole: boolean;
  lastShown: number;
  /** Does not travel: what was received has none. */
  limitBytes: number | null = null;
  /** Read-only from here on; whoever has a file open goes on writing. */
  sealedFor: OpId | null = null;
  /** The move whose copy this was made of. */
  readonly madeFrom: OpId | null;
  /** Counts what is written, as a subvolume's generation number does. */
  changes = 0;
  #kept: Contents;

  /** Whole and on the disk, as a snapshot is; `unsynced`: complete by its flags, and empty. */
  constructor(tree: Tree, how: { readonly madeFrom?: OpId; readonly unsynced?: boolean } = {}) {
    this.identity = tree.identity;
    this.mkfs = tree.mkfs;
    this.bulkBytes = tree.bulkBytes;
    this.entries = new Map(tree.entries);
    this.whole = tree.whole;
    this.lastShown = tree.lastShown;
    this.madeFrom = how.madeFrom ?? null;
    this.#kept = this.#contents();
    if (how.unsynced === true) this.#kept = { ...this.#kept, entries: new Map(), bulkBytes: 0 };
  }

  #contents(): Contents {
    const { identity, sealedFor, limitBytes, bulkBytes, changes } = this;
    return { identity, sealedFor, limitBytes, bulkBytes, changes, entries: new Map(this.entries) };
  }

  write(writer: string, sequence: number): void {
    this.entries.set(writer, sequence);
    this.changes += 1;
  }

  /** Everything of it is on the disk. */
  persist(): void {
    this.#kept = this.#contents();
  }

  revert(): void {
    const { identity, sealedFor, limitBytes, bulkBytes, changes, entries } = this.#kept;
    Object.assign(this, { identity, sealedFor, limitBytes, bulkBytes, changes });
    this.entries.clear();
    for (const [writer, sequence] of entries) this.entries.set(writer, sequence);
  }

  /** A twin with a life of its own, as the disk has it. */
  imaged(): Subvolume {
    const twin = new Subvolume(this, this.madeFrom === null ? {} : { madeFrom: this.madeFrom });
    twin.#kept = this.#kept;
    twin.revert();
    return twin;
  }
}
