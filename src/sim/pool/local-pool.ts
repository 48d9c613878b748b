import type { DatasetId, OpId } from "../../domain/ids.ts";
import type { StreamStage } from "../../domain/local-copy.ts";
import type { Prng } from "../prng.ts";
import type { Subvolume } from "./subvolume.ts";

/** A snapshot for a move, and how far its volume was when it was taken. */
export type Sent = { readonly subvolume: Subvolume; readonly changes: number };

/** Everything that a pool has of one dataset. Snapshots and copies are named by move and stage. */
export type Names = {
  /** The live volume, or the sealed one: it is in its place, but for readers alone. */
  volume: Subvolume | null;
  readonly sent: Map<string, Sent>;
  /** Null while nothing of it is whole. */
  readonly receiving: Map<string, Subvolume | null>;
  readonly copies: Map<string, Subvolume>;
  readonly diverged: Subvolume[];
};

export function stageName(move: OpId, stage: StreamStage): string {
  return `${move}.${stage}`;
}

export function moveOf(name: string): OpId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `stageName` made it from one
  return name.slice(0, name.lastIndexOf(".")) as OpId;
}

function noNames(): Names {
  return { volume: null, sent: new Map(), receiving: new Map(), copies: new Map(), diverged: [] };
}

function eachOf<K, V>(map: ReadonlyMap<K, V>, change: (value: V) => V): Map<K, V> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}

function clone(of: Names, each: (one: Subvolume) => Subvolume = (one) => one): Names {
  return {
    volume: of.volume === null ? null : each(of.volume),
    sent: eachOf(of.sent, ({ subvolume, changes }) => ({ subvolume: each(subvolume), changes })),
    receiving: eachOf(of.receiving, (one) => (one === null ? null : each(one))),
    copies: eachOf(of.copies, each),
    diverged: of.diverged.map(each),
  };
}

export function subvolumesOf(names: Names): readonly Subvolume[] {
  return [
    ...(names.volume === null ? [] : [names.volume]),
    ...[...names.sent.values()].map(({ subvolume }) => subvolume),
    ...[...names.receiving.values()].filter((one) => one !== null),
    ...names.copies.values(),
    ...names.diverged,
  ];
}

/** One node's own disk with one pool: names and contents that are there, and what would survive. */
export class LocalPool {
  id: string;
  readonly sizeBytes: number;
  /** Its disk is not mounted. */
  missing = false;
  lost = false;
  #names = new Map<DatasetId, Names>();
  #kept = new Map<DatasetId, Names>();

  constructor(id: string, sizeBytes: number) {
    this.id = id;
    this.sizeBytes = sizeBytes;
  }

  at(dataset: DatasetId): Names {
    const found = this.#names.get(dataset);
    if (found !== undefined) return found;
    const made = noNames();
    this.#names.set(dataset, made);
    return made;
  }

  datasets(): readonly DatasetId[] {
    return [...this.#names.keys()].filter((id) => {
      const { receiving } = this.at(id);
      return subvolumesOf(this.at(id)).length > 0 || receiving.size > 0;
    });
  }

  usedBytes(): number {
    let used = 0;
    for (const { volume, receiving, copies, diverged } of this.#names.values()) {
      // What a move brought shares its bulk with its base and with what is made of it.
      const own = [volume, ...copies.values(), ...diverged].map((one) => one?.bulkBytes ?? 0);
      const coming = [...receiving.values()].map((one) => one?.bulkBytes ?? 0);
      used += Math.max(0, ...own, ...coming);
    }
    return used;
  }

  /** `syncfs`: what is there of the dataset, names and contents, survives a power cut. */
  commit(dataset: DatasetId): void {
    for (const one of subvolumesOf(this.at(dataset))) one.persist();
    this.commitNames(dataset);
  }

  /** The file system's own transaction: names are kept, contents that nobody synced are not. */
  commitNames(dataset: DatasetId): void {
    this.#kept.set(dataset, clone(this.at(dataset)));
  }

  /** One file's `fsync`: its volume is kept with it. */
  syncFile(dataset: DatasetId, subvolume: Subvolume): void {
    const kept = this.#kept.get(dataset);
    subvolume.persist();
    if (kept === undefined || !subvolumesOf(kept).includes(subvolume)) this.commit(dataset);
  }

  commitAll(): void {
    for (const dataset of this.#names.keys()) this.commit(dataset);
  }

  powerCut(prng: Prng): void {
    for (const [dataset, names] of this.#names) {
      // Its own transaction may just have ended: names without what nobody synced.
      const left = prng.chance(0.5) ? names : (this.#kept.get(dataset) ?? noNames());
      this.#names.set(dataset, clone(left));
    }
    this.#kept = new Map();
    for (const [dataset, names] of this.#names) {
      for (const one of subvolumesOf(names)) one.revert();
      this.commit(dataset);
    }
  }

  /** What an image of the disk would hold. */
  image(): () => void {
    const names = new Map(
      [...this.#kept].map(([id, of]) => [id, clone(of, (one) => one.imaged())]),
    );
    return () => {
      this.#names = new Map([...names].map(([id, of]) => [id, clone(of, (one) => one.imaged())]));
      this.#kept = new Map();
      this.commitAll();
    };
  }

  /** The disk is gone, with all that was on it; what stands in its place is not this pool. */
  lose(): void {
    this.missing = true;
    this.lost = true;
    this.#names = new Map();
    this.#kept = new Map();
  }
}
