import type { Readable, Writable } from "node:stream";
import type { DatasetId, OpId } from "../domain/ids.ts";
import type { LocalCopy, PoolUsage, StreamStage } from "../domain/local-copy.ts";
import type { Capabilities } from "../domain/pool.ts";
import type { Identity } from "../domain/volume.ts";
import type { Call } from "./attachable.ts";

/** A move of one dataset as both of its ends name it. */
export type StreamOf = {
  readonly datasetId: DatasetId;
  readonly move: OpId;
  readonly stage: StreamStage;
};

/** What `send` wrote, or what `receive` took: equal numbers on both ends, or it did not arrive. */
export type StreamSum = {
  readonly bytes: number;
  /** SHA-256 of every byte of the stream, 64 hex digits. */
  readonly digest: string;
};

export type MadeLive = {
  readonly datasetId: DatasetId;
  /** The volume holds no more than this, and `usedBytes` and ENOSPC or EDQUOT show it. */
  readonly sizeBytes: number;
};

/**
 * A driver of volumes on a node's own disks. It holds no desired state, knows nothing of claims and
 * never retries; every call is idempotent, and after a crash in its middle a repeated call ends
 * what the first began. Each sentence at a method is a conformance case
 * (`conformance/local-cases.ts`).
 *
 * Only `live` is ever written to or mounted. A received copy is made live by a writable snapshot of
 * it; its own read-only flag is never taken away, since a base that was changed once would be
 * accepted silently ever after.
 */
export interface LocalBackend extends AsyncDisposable {
  readonly capabilities: Capabilities & { readonly kind: "local" };
  /** Made with the pool and kept in it: a pool with another one is another pool. */
  readonly poolId: string;
  /** What containers find their files in, for people: `btrfs`, `zfs`. */
  readonly fileSystem: string;
  /** Bytes that the pool has and that are free; what was removed counts once it is given back. */
  usage(call: Call): Promise<PoolUsage>;
  /** Every dataset of which the pool has anything, live or not, this cluster's or not. */
  list(call: Call): Promise<readonly DatasetId[]>;
  /**
   * A fresh direct look at everything that the pool has of one dataset; writes nothing. Empty when
   * there is nothing. What `send` keeps for itself is not shown. A pool that is not there any more
   * fails with `POOL_MISSING`.
   */
  look(datasetId: DatasetId, call: Call): Promise<readonly LocalCopy[]>;
  /** Bytes that the live volume's data takes; null when there is none. */
  usedBytes(datasetId: DatasetId, call: Call): Promise<number | null>;
  /**
   * Makes an empty live volume: a directory `data` (0777) and beside it the identity, durable, with
   * generation 0. The limit stands before it is there. The same lineage twice is one volume; a live
   * one of another lineage, or a sealed one, fails with `VOLUME_EXISTS` and stays as it is. A size
   * outside of the capabilities fails with `SIZE_OUT_OF_RANGE`.
   */
  create(volume: MadeLive & { readonly identity: Identity }, call: Call): Promise<void>;
  /**
   * Where the live volume lies on this node: the directory that holds `data`. Does not touch the
   * storage. Callers bind it from here and from nowhere else.
   */
  livePath(datasetId: DatasetId): string;
  /**
   * Writes `identity.generation` into the live volume's identity, durably. Other ids or lineage, or
   * a greater generation there, fail with `BACKEND_REJECTED` and write nothing. Without a live
   * volume it fails with `VOLUME_NOT_FOUND`.
   */
  stamp(identity: Identity, call: Call): Promise<void>;
  /** Everything that was written to the live volume is durable when it has returned. */
  sync(datasetId: DatasetId, call: Call): Promise<void>;
  /**
   * Makes the live volume read-only, syncs it and takes the last snapshot of it for `move`:
   * durable, and nothing is in the volume that is not in the snapshot, or it fails with
   * `VOLUME_BUSY` and the volume is live as before. The same move twice is one seal, with a new
   * snapshot if somebody wrote since. A volume that is sealed for another move is sealed for this
   * one. Callers proved that nobody holds it.
   */
  seal(at: { readonly datasetId: DatasetId; readonly move: OpId }, call: Call): Promise<void>;
  /**
   * Something was written to the sealed volume after its snapshot: an open descriptor goes on
   * writing through a read-only flag. False for one that nobody wrote to since.
   */
  changedSinceSeal(datasetId: DatasetId, call: Call): Promise<boolean>;
  /**
   * Makes the sealed volume live again, by a writable snapshot of the sealed one itself (never of
   * the snapshot that was sent), with its limit set and read back. A volume that is live already
   * stays as it is.
   */
  reopen(volume: MadeLive, call: Call): Promise<void>;
  /**
   * Writes one stage of a move to `sink` and ends it. `base` is a snapshot that is taken at the
   * first call of the move, and the same one at later calls while nothing touched it; `delta` is
   * the seal's snapshot, on top of the base when `onBase`, whole otherwise. Before the seal,
   * `delta` fails with `VOLUME_NOT_FOUND`. A sink that breaks fails the call and leaves nothing
   * running.
   */
  send(
    stream: StreamOf & { readonly onBase: boolean },
    sink: Writable,
    call: Call,
  ): Promise<StreamSum>;
  /** Bytes that `send` will roughly write: what progress and reservations count with. */
  streamBytes(stream: StreamOf & { readonly onBase: boolean }, call: Call): Promise<number>;
  /**
   * Reserves and receives one stage of a move, beside everything else. Until `accept` it is
   * partial. A pool with less than `reserveBytes` free fails with `POOL_FULL` before anything is
   * read. A stream that breaks, or is refused, fails and leaves a partial copy at most; what was
   * partial before is removed first.
   */
  receive(
    stream: StreamOf & { readonly onBase: boolean; readonly reserveBytes: number },
    source: Readable,
    call: Call,
  ): Promise<StreamSum>;
  /**
   * Syncs what was received (an error fails the call) and gives it its final name, durably: `base`
   * becomes a base, `delta` a received copy, if its identity is `datasetId`'s. Callers compared the
   * sums of both ends. Accepted before is no error. With nothing to accept it fails with
   * `VOLUME_NOT_FOUND`, with another identity with `BACKEND_REJECTED`.
   */
  accept(stream: StreamOf, call: Call): Promise<void>;
  /**
   * Makes the copy that `move` brought here live: a writable snapshot of it in the place of a live
   * volume of an older generation, or of a sealed one of no greater generation, which goes. The
   * limit is set and read back before it is live. A live volume of the same or a greater generation
   * stays as it is, and the call succeeds only if it was made from this copy. Without such a copy
   * it fails with `VOLUME_NOT_FOUND`.
   */
  promote(volume: MadeLive & { readonly move: OpId }, call: Call): Promise<void>;
  /**
   * The live or sealed volume becomes `diverged`, or with `move` the copy that it brought here: kept
   * whole and read-only, for a person. Without one it does nothing.
   */
  diverge(datasetId: DatasetId, move: OpId | null, call: Call): Promise<void>;
  /**
   * Makes a diverged copy, a fallback or a received copy the live volume of another dataset that
   * has none: how a person gets at what was in it. The copy stays.
   */
  rescue(
    from: DatasetId,
    to: MadeLive & { readonly identity: Identity },
    call: Call,
  ): Promise<void>;
  /**
   * Removes what moves other than `except` left behind: partial copies, bases, snapshots that were
   * sent, and received copies that the live volume is of a greater generation than. Live, sealed
   * and diverged copies stay, and received ones that no live volume came after.
   */
  discardPartial(datasetId: DatasetId, except: OpId | null, call: Call): Promise<void>;
  /** Removes all copies but live and diverged ones. */
  discard(datasetId: DatasetId, call: Call): Promise<void>;
  /**
   * Removes everything of the dataset but diverged copies, live included. In use fails with
   * `VOLUME_BUSY` and removes nothing.
   */
  destroy(datasetId: DatasetId, call: Call): Promise<void>;
}
