import { createHash } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import type { DatasetId, OpId } from "../../domain/ids.ts";
import type { LocalCopy, PoolUsage } from "../../domain/local-copy.ts";
import type { Capabilities } from "../../domain/pool.ts";
import type { Identity } from "../../domain/volume.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { Call } from "../attachable.ts";
import { checkStamp } from "../identity-block.ts";
import type { LocalBackend, MadeLive, StreamOf, StreamSum } from "../local.ts";
import {
  bytesOf,
  type MemoryDataset,
  type MemoryPool,
  type MemoryVolume,
  nameOf,
  type Tree,
} from "./memory-pool.ts";

type Stream = StreamOf & { readonly onBase: boolean };

/** The reference model of the local port: the simplest correct driver, over a pool in memory. */
export class MemoryLocal implements LocalBackend {
  readonly capabilities: Capabilities & { readonly kind: "local" } = {
    kind: "local",
    exclusive: "enforced",
    fence: "none",
    sizeBytesMin: 2 ** 20,
    sizeBytesStep: 4096,
    sizeBytesMax: 2 ** 50,
    attachedMax: 64,
    listDelayMsMax: 0,
    operationMsMax: 0,
  };
  readonly fileSystem = "memory";
  readonly poolId: string;
  readonly #pool: MemoryPool;

  constructor(pool: MemoryPool) {
    this.#pool = pool;
    this.poolId = pool.poolId;
  }

  async usage(_call: Call): Promise<PoolUsage> {
    const { sizeBytes } = this.#there();
    return { sizeBytes, freeBytes: sizeBytes - this.#pool.usedBytes() };
  }

  async list(_call: Call): Promise<readonly DatasetId[]> {
    const all = [...this.#there().datasets];
    return all.filter(([, dataset]) => isAnything(dataset)).map(([datasetId]) => datasetId);
  }

  async look(datasetId: DatasetId, _call: Call): Promise<readonly LocalCopy[]> {
    const { volume, receiving, copies, diverged } = this.#there().at(datasetId);
    return [
      ...(volume === null ? [] : [this.#shown(volume)]),
      ...[...copies].map(([name, { identity }]): LocalCopy => {
        const move = moveOf(name);
        return name.endsWith(".base")
          ? { kind: "base", move }
          : { kind: "received", identity, move };
      }),
      ...[...receiving.keys()].map((name): LocalCopy => ({ kind: "partial", move: moveOf(name) })),
      ...diverged.map(({ identity }): LocalCopy => ({ kind: "diverged", identity })),
    ];
  }

  async usedBytes(datasetId: DatasetId, _call: Call): Promise<number | null> {
    const volume = this.#live(datasetId);
    return volume === null ? null : bytesOf(volume.files);
  }

  async create(
    { datasetId, identity, sizeBytes }: MadeLive & { readonly identity: Identity },
    _call: Call,
  ): Promise<void> {
    const { sizeBytesMin, sizeBytesStep, sizeBytesMax } = this.capabilities;
    if (sizeBytes < sizeBytesMin || sizeBytes > sizeBytesMax || sizeBytes % sizeBytesStep !== 0) {
      throw new FlockerError("SIZE_OUT_OF_RANGE", `No volume has ${sizeBytes} bytes here.`);
    }
    const dataset = this.#there().at(datasetId);
    if (this.#isMade(dataset, identity)) return;
    const files = new Map<string, string>();
    dataset.volume = newVolume({ identity: { ...identity, generation: 0 }, files }, sizeBytes);
  }

  livePath(datasetId: DatasetId): string {
    return `memory:${datasetId}`;
  }

  async stamp(identity: Identity, _call: Call): Promise<void> {
    const volume = this.#live(identity.datasetId);
    if (volume === null) throw notFound(identity.datasetId, "live volume");
    checkStamp(volume.identity, identity);
    volume.identity = identity;
  }

  async sync(datasetId: DatasetId, _call: Call): Promise<void> {
    if (this.#there().at(datasetId).volume === null) throw notFound(datasetId, "live volume");
  }

  async seal(
    { datasetId, move }: { readonly datasetId: DatasetId; readonly move: OpId },
    _call: Call,
  ): Promise<void> {
    const { volume, sent } = this.#there().at(datasetId);
    if (volume === null) throw notFound(datasetId, "live volume");
    if (this.#pool.writers.has(volume)) {
      throw new FlockerError("VOLUME_BUSY", `Somebody writes to dataset ${datasetId}.`);
    }
    volume.sealedFor = move;
    sent.set(nameOf(move, "delta"), { tree: treeOf(volume), changes: volume.changes });
  }

  async changedSinceSeal(datasetId: DatasetId, _call: Call): Promise<boolean> {
    const { volume, sent } = this.#there().at(datasetId);
    if (volume === null || volume.sealedFor === null) throw notFound(datasetId, "sealed volume");
    return sent.get(nameOf(volume.sealedFor, "delta"))?.changes !== volume.changes;
  }

  async reopen({ datasetId, sizeBytes }: MadeLive, _call: Call): Promise<void> {
    const dataset = this.#there().at(datasetId);
    const { volume } = dataset;
    if (volume === null) throw notFound(datasetId, "sealed volume");
    if (volume.sealedFor !== null) dataset.volume = newVolume(treeOf(volume), sizeBytes);
  }

  async send(stream: Stream, sink: Writable, _call: Call): Promise<StreamSum> {
    const { tree, base } = this.#snapshots(stream);
    const files = [...tree.files].filter(([name, text]) => base?.files.get(name) !== text);
    const gone = [...(base?.files.keys() ?? [])].filter((name) => !tree.files.has(name));
    const text = JSON.stringify({ identity: tree.identity, files, gone, onBase: stream.onBase });
    await pipeline([text], sink);
    return sumOf(text);
  }

  async streamBytes(stream: Stream, _call: Call): Promise<number> {
    const { tree, base } = this.#snapshots(stream);
    return bytesOf(tree.files) - (base === null ? 0 : bytesOf(base.files));
  }

  async receive(
    { datasetId, move, stage, onBase, reserveBytes }: Stream & { readonly reserveBytes: number },
    source: Readable,
    _call: Call,
  ): Promise<StreamSum> {
    const { sizeBytes } = this.#there();
    if (sizeBytes - this.#pool.usedBytes() < reserveBytes) {
      throw new FlockerError("POOL_FULL", `The pool has not ${reserveBytes} bytes free.`);
    }
    const { copies, receiving } = this.#pool.at(datasetId);
    const base = copies.get(nameOf(move, "base"));
    if (onBase && base === undefined) throw notFound(datasetId, `base of move ${move}`);
    receiving.set(nameOf(move, stage), null);
    const text = await textOf(source);
    receiving.set(nameOf(move, stage), parseStream(text, onBase ? base : undefined));
    return sumOf(text);
  }

  async accept({ datasetId, move, stage }: StreamOf, _call: Call): Promise<void> {
    const { receiving, copies } = this.#there().at(datasetId);
    const name = nameOf(move, stage);
    const tree = receiving.get(name);
    if (tree === undefined && copies.has(name)) return;
    if (tree === undefined || tree === null) throw notFound(datasetId, `whole ${stage} of ${move}`);
    if (tree.identity.datasetId !== datasetId || !this.#isOurs(tree)) {
      throw new FlockerError("BACKEND_REJECTED", "The copy is another dataset's.");
    }
    receiving.delete(name);
    copies.set(name, tree);
  }

  async promote(
    { datasetId, move, sizeBytes }: MadeLive & { readonly move: OpId },
    _call: Call,
  ): Promise<void> {
    const dataset = this.#there().at(datasetId);
    const { volume } = dataset;
    if (volume?.madeFrom === move && volume.sealedFor === null) return;
    const copy = dataset.copies.get(nameOf(move, "delta"));
    if (copy === undefined) throw notFound(datasetId, `copy of move ${move}`);
    const { generation } = copy.identity;
    const newest = volume?.sealedFor === null ? generation - 1 : generation;
    if (volume !== null && volume.identity.generation > newest) {
      throw new FlockerError("BACKEND_REJECTED", `Dataset ${datasetId} has a newer volume here.`);
    }
    dataset.volume = newVolume(copy, sizeBytes, move);
  }

  async diverge(datasetId: DatasetId, move: OpId | null, _call: Call): Promise<void> {
    const dataset = this.#there().at(datasetId);
    if (move !== null) {
      const copy = dataset.copies.get(nameOf(move, "delta"));
      if (copy !== undefined) dataset.diverged.push(copy);
      dataset.copies.delete(nameOf(move, "delta"));
      return;
    }
    if (dataset.volume !== null) dataset.diverged.push(treeOf(dataset.volume));
    dataset.volume = null;
  }

  async rescue(
    from: DatasetId,
    to: MadeLive & { readonly identity: Identity },
    _call: Call,
  ): Promise<void> {
    const { volume, copies, diverged } = this.#there().at(from);
    const sealed = volume === null || volume.sealedFor === null ? undefined : treeOf(volume);
    const received = [...copies].find(([name]) => name.endsWith(".delta"))?.[1];
    const tree = diverged.at(-1) ?? sealed ?? received;
    if (tree === undefined) throw notFound(from, "copy besides a live one");
    const target = this.#pool.at(to.datasetId);
    if (this.#isMade(target, to.identity)) return;
    target.volume = newVolume({ ...tree, identity: to.identity }, to.sizeBytes);
  }

  async discardPartial(datasetId: DatasetId, except: OpId | null, _call: Call): Promise<void> {
    const { volume, sent, receiving, copies } = this.#there().at(datasetId);
    const others = (name: string): boolean => moveOf(name) !== except;
    for (const name of [...receiving.keys()].filter(others)) receiving.delete(name);
    for (const name of [...copies.keys()].filter(others)) {
      const generation = copies.get(name)?.identity.generation ?? 0;
      const live = volume?.sealedFor === null ? volume.identity.generation : 0;
      if (name.endsWith(".base") || generation < live) copies.delete(name);
    }
    for (const name of [...sent.keys()].filter(others)) {
      if (moveOf(name) !== volume?.sealedFor) sent.delete(name);
    }
  }

  async discard(datasetId: DatasetId, _call: Call): Promise<void> {
    const dataset = this.#there().at(datasetId);
    if (dataset.volume !== null && dataset.volume.sealedFor !== null) dataset.volume = null;
    for (const part of [dataset.sent, dataset.receiving, dataset.copies]) part.clear();
  }

  async destroy(datasetId: DatasetId, call: Call): Promise<void> {
    const dataset = this.#there().at(datasetId);
    const { volume } = dataset;
    if (volume !== null && (this.#pool.holders.get(volume) ?? 0) > 0) {
      throw new FlockerError("VOLUME_BUSY", `Dataset ${datasetId} is in use.`);
    }
    dataset.volume = null;
    await this.discard(datasetId, call);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #there(): MemoryPool {
    if (!this.#pool.missing) return this.#pool;
    throw new FlockerError("POOL_MISSING", `Pool ${this.poolId} is not there.`);
  }

  #live(datasetId: DatasetId): MemoryVolume | null {
    const { volume } = this.#there().at(datasetId);
    return volume?.sealedFor === null ? volume : null;
  }

  #isOurs({ identity }: Tree): boolean {
    return identity.clusterId === this.#pool.clusterId;
  }

  #isMade({ volume }: MemoryDataset, { datasetId, lineage }: Identity): boolean {
    if (volume === null) return false;
    if (volume.sealedFor === null && volume.identity.lineage === lineage) return true;
    throw new FlockerError("VOLUME_EXISTS", `Dataset ${datasetId} has another volume here.`);
  }

  #shown({ identity, sealedFor, files }: MemoryVolume): LocalCopy {
    if (!this.#isOurs({ identity, files })) {
      return { kind: "foreign", detail: `it belongs to another cluster (${identity.clusterId})` };
    }
    return sealedFor === null
      ? { kind: "live", identity }
      : { kind: "sealed", identity, move: sealedFor };
  }

  /** What a stage sends, and what it is sent on top of. */
  #snapshots({ datasetId, move, stage, onBase }: Stream): { tree: Tree; base: Tree | null } {
    const { volume, sent } = this.#there().at(datasetId);
    if (volume === null) throw notFound(datasetId, "live volume");
    const base = sent.get(nameOf(move, "base"));
    if (stage === "delta") {
      const delta = sent.get(nameOf(move, "delta"));
      if (delta === undefined) throw notFound(datasetId, `seal for move ${move}`);
      if (onBase && base === undefined) throw notFound(datasetId, `base of move ${move}`);
      return { tree: delta.tree, base: onBase ? (base?.tree ?? null) : null };
    }
    const taken = base ?? { tree: treeOf(volume), changes: volume.changes };
    sent.set(nameOf(move, "base"), taken);
    return { tree: taken.tree, base: null };
  }
}

function newVolume(
  { identity, files }: Tree,
  sizeBytes: number,
  madeFrom: OpId | null = null,
): MemoryVolume {
  const copy = new Map(files);
  return { identity, files: copy, sizeBytes, madeFrom, sealedFor: null, changes: 0 };
}

function treeOf({ identity, files }: Tree): Tree {
  return { identity, files: new Map(files) };
}

function isAnything({ volume, sent, receiving, copies, diverged }: MemoryDataset): boolean {
  const parts = [sent.size, receiving.size, copies.size, diverged.length];
  return volume !== null || parts.some((count) => count > 0);
}

function moveOf(name: string): OpId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `nameOf` made it from one
  return name.slice(0, name.lastIndexOf(".")) as OpId;
}

function sumOf(text: string): StreamSum {
  const digest = createHash("sha256").update(text).digest("hex");
  return { bytes: Buffer.byteLength(text), digest };
}

function parseStream(text: string, base: Tree | undefined): Tree {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what `send` wrote
    const { identity, files, gone } = JSON.parse(text) as {
      identity: Identity;
      files: [string, string][];
      gone: string[];
    };
    const all = new Map([...(base?.files ?? []), ...files]);
    for (const name of gone) all.delete(name);
    return { identity, files: all };
  } catch (cause) {
    throw new FlockerError("COMMAND_FAILED", "This is no stream of a volume.", { cause });
  }
}

function notFound(datasetId: DatasetId, what: string): FlockerError {
  return new FlockerError("VOLUME_NOT_FOUND", `Dataset ${datasetId} has no ${what} here.`);
}
