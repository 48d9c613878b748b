import type { LocalBackend, MadeLive, StreamOf, StreamSum } from "../../backends/local.ts";
import type { DatasetId, OpId } from "../../domain/ids.ts";
import type { Identity } from "../../domain/volume.ts";
import { assert } from "../../lib/assert.ts";
import { localRef } from "../world/storage.ts";
import { failure } from "../world/world-context.ts";
import { moveOf, type Names, stageName } from "./local-pool.ts";
import { LocalReads } from "./local-reads.ts";
import {
  assertSize,
  isMade,
  limited,
  liveOf,
  notFound,
  onTopOf,
  payloadOf,
  treeOf,
} from "./local-tree.ts";
import { StreamIn, StreamOut } from "./stream-ends.ts";
import { Subvolume, type Tree } from "./subvolume.ts";
import { type Payload, sumOf } from "./transfer.ts";

type Stream = StreamOf & { readonly onBase: boolean };

/**
 * The local port's driver over the model of one machine's disk. Each step is a child process that
 * outlives its agent; between two steps of one call the agent, or the power, may be gone.
 */
export class ModelLocal extends LocalReads implements LocalBackend {
  create({ datasetId, identity, sizeBytes }: Parameters<LocalBackend["create"]>[0]): Promise<void> {
    assertSize(sizeBytes);
    return this.step(datasetId, (names) => {
      if (isMade(names, identity)) return;
      this.#made(datasetId);
      const { storage, context } = this.machine;
      const bulkBytes = context.prng.between(1, 4) * context.traits.bulkBytes;
      const entries = new Map<string, number>();
      const mkfs = storage.newMkfs();
      const tree = {
        identity: { ...identity, generation: 0 },
        mkfs,
        bulkBytes,
        entries,
        whole: true,
        lastShown: 0,
      };
      names.volume = limited(new Subvolume(tree), sizeBytes);
      this.pool.commit(datasetId);
    });
  }

  #made(dataset: DatasetId): void {
    const { context, node, storage } = this.machine;
    context.tell({
      kind: "mkfs_written",
      dataset,
      ref: localRef(dataset),
      node,
      shownBefore: storage.shownLocal.has(dataset),
    });
  }

  livePath(datasetId: DatasetId): string {
    return `/pool/live/${datasetId}`;
  }

  async stamp(identity: Identity): Promise<void> {
    const { datasetId } = identity;
    await this.step(datasetId, (names) => {
      const volume = liveOf(names);
      if (volume === null) throw notFound(datasetId, "live volume");
      const { clusterId, lineage, generation } = volume.identity;
      const same = clusterId === identity.clusterId && lineage === identity.lineage;
      if (!same || generation > identity.generation) {
        throw failure("BACKEND_REJECTED", "the identity there is another or a later one");
      }
      volume.identity = identity;
    });
    await this.step(datasetId, () => this.pool.commit(datasetId));
  }

  sync(datasetId: DatasetId): Promise<void> {
    return this.step(datasetId, ({ volume }) => {
      if (volume === null) throw notFound(datasetId, "live volume");
      this.pool.commit(datasetId);
    });
  }

  async seal({
    datasetId,
    move,
  }: {
    readonly datasetId: DatasetId;
    readonly move: OpId;
  }): Promise<void> {
    const begun = await this.step(datasetId, ({ volume }) => {
      if (volume === null) throw notFound(datasetId, "live volume");
      volume.sealedFor = move;
      this.pool.commit(datasetId);
      return volume.changes;
    });
    await this.step(datasetId, (names) => {
      const { volume, sent } = names;
      if (volume === null) throw notFound(datasetId, "live volume");
      if (volume.changes !== begun) {
        volume.sealedFor = null;
        this.pool.commit(datasetId);
        throw failure("VOLUME_BUSY", `somebody writes to ${datasetId}`);
      }
      const { changes } = volume;
      sent.set(stageName(move, "delta"), { subvolume: new Subvolume(volume), changes });
      this.pool.commit(datasetId);
      this.machine.context.marks.hit("volume sealed");
    });
  }

  changedSinceSeal(datasetId: DatasetId): Promise<boolean> {
    return this.read(datasetId, ({ volume, sent }) => {
      if (volume === null || volume.sealedFor === null) throw notFound(datasetId, "sealed volume");
      return sent.get(stageName(volume.sealedFor, "delta"))?.changes !== volume.changes;
    });
  }

  reopen({ datasetId, sizeBytes }: MadeLive): Promise<void> {
    return this.step(datasetId, (names) => {
      const { volume } = names;
      if (volume === null) throw notFound(datasetId, "sealed volume");
      if (volume.sealedFor === null) return;
      names.volume = limited(new Subvolume(volume), sizeBytes);
      this.pool.commit(datasetId);
      this.machine.context.marks.hit("sealed volume reopened");
    });
  }

  async send(stream: Stream, sink: Parameters<LocalBackend["send"]>[1]): Promise<StreamSum> {
    const payload = await this.read(stream.datasetId, (names) => this.#payload(names, stream));
    assert(sink instanceof StreamOut, "the model's driver writes to the model's streams");
    const { machine } = this;
    const { parent } = this.around;
    return machine.longChild({ dataset: null, parent }, (finish) =>
      sink.transfer.send(payload, (whole) =>
        finish(() => {
          if (!whole) throw failure("COMMAND_FAILED", "the stream's other end broke it");
          return sumOf(payload);
        }),
      ),
    );
  }

  streamBytes(stream: Stream): Promise<number> {
    return this.read(stream.datasetId, (names) => {
      const { bulkBytes, entries } = this.#payload(names, stream);
      return bulkBytes + entries.size;
    });
  }

  #payload(names: Names, { datasetId, move, stage, onBase }: Stream): Payload {
    const { volume, sent } = names;
    if (volume === null) throw notFound(datasetId, "live volume");
    const base = sent.get(stageName(move, "base"))?.subvolume;
    if (stage === "base") {
      if (base !== undefined) return payloadOf(base, null);
      const taken = new Subvolume(volume);
      sent.set(stageName(move, "base"), { subvolume: taken, changes: volume.changes });
      this.pool.commit(datasetId);
      return payloadOf(taken, null);
    }
    const delta = sent.get(stageName(move, "delta"))?.subvolume;
    if (delta === undefined) throw notFound(datasetId, `seal for move ${move}`);
    if (!onBase) return payloadOf(delta, null);
    if (base === undefined) throw notFound(datasetId, `base of move ${move}`);
    return payloadOf(delta, base);
  }

  async receive(
    stream: Stream & { readonly reserveBytes: number },
    source: Parameters<LocalBackend["receive"]>[1],
  ): Promise<StreamSum> {
    const { datasetId, move, stage, onBase, reserveBytes } = stream;
    const name = stageName(move, stage);
    assert(source instanceof StreamIn, "the model's driver reads the model's streams");
    const base = await this.step(datasetId, ({ copies, receiving }) => {
      if (this.pool.sizeBytes - this.pool.usedBytes() < reserveBytes) {
        this.machine.context.marks.hit("target pool full");
        throw failure("POOL_FULL", `the pool has not ${reserveBytes} bytes free`);
      }
      const of = copies.get(stageName(move, "base")) ?? null;
      if (onBase && of === null) throw notFound(datasetId, `base of move ${move}`);
      receiving.set(name, null);
      return onBase ? of : null;
    });
    const { parent } = this.around;
    return this.machine.longChild({ dataset: datasetId, parent }, (finish) =>
      source.transfer.receive((arrived) =>
        finish(() => {
          const { receiving } = this.there().at(datasetId);
          if (arrived === null || !receiving.has(name)) {
            throw failure("COMMAND_FAILED", "the stream broke");
          }
          receiving.set(name, new Subvolume(onTopOf(arrived, base), { unsynced: true }));
          return sumOf(arrived);
        }),
      ),
    );
  }

  async accept({ datasetId, move, stage }: StreamOf): Promise<void> {
    const name = stageName(move, stage);
    await this.step(datasetId, ({ receiving, copies }) => {
      const tree = receiving.get(name);
      if (tree === undefined && copies.has(name)) return;
      if (tree === undefined || tree === null)
        throw notFound(datasetId, `whole ${stage} of ${move}`);
      this.syncReceived(datasetId);
      if (tree.identity.datasetId !== datasetId) {
        throw failure("BACKEND_REJECTED", "the copy is another dataset's");
      }
    });
    await this.step(datasetId, ({ receiving, copies }) => {
      const tree = receiving.get(name);
      if (tree === undefined || tree === null) return;
      receiving.delete(name);
      copies.set(name, tree);
      this.pool.commitNames(datasetId);
    });
  }

  protected syncReceived(dataset: DatasetId): void {
    this.pool.commit(dataset);
  }

  async promote({ datasetId, move, sizeBytes }: MadeLive & { readonly move: OpId }): Promise<void> {
    const made = await this.step(datasetId, (names) => {
      const copy = this.promotable(names, datasetId, move);
      return copy === null ? null : limited(new Subvolume(copy, { madeFrom: move }), sizeBytes);
    });
    if (made === null) return;
    await this.step(datasetId, (names) => {
      names.volume = made;
      this.machine.context.marks.hit("received copy promoted");
    });
    await this.step(datasetId, () => this.pool.commit(datasetId));
  }

  /** Null: it was made live from this copy before. */
  protected promotable(names: Names, dataset: DatasetId, move: OpId): Tree | null {
    const { volume, copies } = names;
    if (volume?.madeFrom === move && volume.sealedFor === null) return null;
    const copy = copies.get(stageName(move, "delta"));
    if (copy === undefined) throw notFound(dataset, `copy of move ${move}`);
    const { generation } = copy.identity;
    const newest = volume?.sealedFor === null ? generation - 1 : generation;
    if (volume !== null && volume.identity.generation > newest) {
      throw failure("BACKEND_REJECTED", `${dataset} has a newer volume here`);
    }
    return copy;
  }

  diverge(datasetId: DatasetId, move: OpId | null): Promise<void> {
    return this.step(datasetId, (names) => {
      const copy = move === null ? names.volume : names.copies.get(stageName(move, "delta"));
      if (copy === null || copy === undefined) return;
      this.machine.context.marks.hit("copy diverged");
      names.diverged.push(copy);
      if (move === null) names.volume = null;
      else names.copies.delete(stageName(move, "delta"));
      this.pool.commit(datasetId);
    });
  }

  rescue(
    from: DatasetId,
    { datasetId, sizeBytes, identity }: Parameters<LocalBackend["rescue"]>[1],
  ): Promise<void> {
    return this.step(datasetId, (names) => {
      if (isMade(names, identity)) return;
      const { volume, copies, diverged } = this.pool.at(from);
      const sealed = volume === null || volume.sealedFor === null ? undefined : volume;
      const received = [...copies].find(([name]) => name.endsWith(".delta"))?.[1];
      const tree = diverged.at(-1) ?? sealed ?? received;
      if (tree === undefined) throw notFound(from, "copy besides a live one");
      names.volume = limited(new Subvolume({ ...treeOf(tree), identity }), sizeBytes);
      this.machine.context.marks.hit("copy rescued");
      this.pool.commit(datasetId);
    });
  }

  discardPartial(datasetId: DatasetId, except: OpId | null): Promise<void> {
    const others = (name: string): boolean => moveOf(name) !== except;
    return this.step(datasetId, ({ volume, sent, receiving, copies }) => {
      for (const name of [...receiving.keys()].filter(others)) receiving.delete(name);
      const live = volume?.sealedFor === null ? volume.identity.generation : 0;
      const passed: Subvolume[] = [];
      for (const [name, copy] of [...copies].filter(([each]) => others(each))) {
        if (!name.endsWith(".base") && copy.identity.generation >= live) continue;
        copies.delete(name);
        if (!name.endsWith(".base")) passed.push(copy);
      }
      for (const name of [...sent.keys()].filter(others)) {
        if (moveOf(name) !== volume?.sealedFor) sent.delete(name);
      }
      this.removed(datasetId, "discard", passed, () => {});
    });
  }

  discard(datasetId: DatasetId): Promise<void> {
    return this.step(datasetId, (names) => {
      const { volume, copies } = names;
      const sealed = volume !== null && volume.sealedFor !== null ? [volume] : [];
      if (sealed.length > 0) names.volume = null;
      this.removed(datasetId, "discard", [...sealed, ...copies.values()], () => {
        for (const part of [names.sent, names.receiving, copies]) part.clear();
      });
    });
  }

  destroy(datasetId: DatasetId): Promise<void> {
    return this.step(datasetId, (names) => {
      const { volume, copies } = names;
      if (this.machine.kernel.open(datasetId).some((one) => one.subvolume === volume)) {
        throw failure("VOLUME_BUSY", `${datasetId} is in use`);
      }
      names.volume = null;
      const all = [...(volume === null ? [] : [volume]), ...copies.values()];
      this.removed(datasetId, "destroy", all, () => {
        for (const part of [names.sent, names.receiving, copies]) part.clear();
      });
    });
  }

  /** Told with what is left elsewhere in the world, whoever knows of it. */
  protected removed(
    dataset: DatasetId,
    how: "discard" | "destroy",
    trees: readonly Tree[],
    remove: () => void,
  ): void {
    remove();
    this.pool.commit(dataset);
    const { context, node, storage } = this.machine;
    if (how === "destroy") context.marks.hit("local volume destroyed");
    else if (trees.length > 0) context.marks.hit("spare copy discarded");
    for (const { entries } of trees) {
      const left = storage.copiesOf(dataset).map((one) => one.entries);
      context.tell({ kind: "copy_removed", dataset, node, how, entries: new Map(entries), left });
    }
  }
}
