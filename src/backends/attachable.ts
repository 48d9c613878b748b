import type { ClusterId, DatasetId, NodeId, OpId, VolumeRef } from "../domain/ids.ts";
import type { Capabilities } from "../domain/pool.ts";
import type { Attacher, Device, Volume } from "../domain/volume.ts";
import type { Logger } from "../lib/log.ts";

/** What accompanies every call: cancel, deadline, lock of the dataset, one action id. */
export type Call = {
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  /** Children must hold it (`exec`'s `lockFile`); undefined for calls that change nothing. */
  readonly lockFile?: string | undefined;
  readonly log: Logger;
};

export type CreateVolume = {
  readonly datasetId: DatasetId;
  readonly op: OpId;
  readonly sizeBytes: number;
};

/**
 * A driver of volumes that live outside the nodes: a client for one storage system. It holds no
 * desired state, never retries, and every call is idempotent and adoptable by label. Each sentence
 * at a method is a conformance case (`conformance/attachable-cases.ts`).
 */
export interface AttachableBackend extends AsyncDisposable {
  readonly capabilities: Capabilities & { readonly kind: "attachable" };
  /** Every volume of this cluster that exists now, no other cluster's. */
  list(call: Call): Promise<readonly Volume[]>;
  /**
   * A fresh direct look at the volumes of one dataset, never from a cache or an old list. Empty
   * when there is none; all of them when a lost answer made a duplicate.
   */
  find(datasetId: DatasetId, call: Call): Promise<readonly Volume[]>;
  /**
   * Creates a volume labelled with cluster, dataset and `op`. The same `op` twice returns the same
   * volume, also when the first answer was lost. Another `op` for a dataset that has a volume fails
   * with `VOLUME_EXISTS`. A size outside of the capabilities fails with `SIZE_OUT_OF_RANGE`. A new
   * volume reads as zeros and is attached to nobody.
   */
  create(volume: CreateVolume, call: Call): Promise<Volume>;
  /**
   * Attaches to this node under a claim and returns its device. Idempotent for the same node and
   * era (a higher generation is recorded). An attachment of an earlier era of the same node is
   * replaced. Attached to another node fails with `VOLUME_BUSY` and changes nothing: attach never
   * steals. An older generation than the recorded one fails with `VOLUME_BUSY`. An unknown volume
   * fails with `VOLUME_NOT_FOUND`.
   */
  attach(ref: VolumeRef, to: Attacher, call: Call): Promise<Device>;
  /** The device of a volume that is attached to this node in this era; null when it is not. */
  device(ref: VolumeRef, on: Attacher, call: Call): Promise<Device | null>;
  /**
   * Ends this node's own attachment, whichever era made it. Idempotent, also for a volume that is
   * not attached or no longer exists. Another node's attachment is left alone. A device that is in
   * use fails with `VOLUME_BUSY` and stays attached. The agent's own exclusive hold
   * (`Host.holdExclusively`) is no use: it may stand until the detach has returned. When it has
   * returned, a write through the old device does not reach the volume.
   */
  detach(ref: VolumeRef, node: NodeId, call: Call): Promise<void>;
  /**
   * Ends the attachment of another node, which must be `target`; anything else is left alone.
   * Idempotent. With `exclusive: enforced` a write through the target's device does not reach the
   * volume any more once another node has attached it. Callers have an open op.
   */
  forceDetach(ref: VolumeRef, target: NodeId, call: Call): Promise<void>;
  /**
   * Destroys the volume. Idempotent, also for one that no longer exists. Attached to anybody fails
   * with `VOLUME_BUSY` and destroys nothing. The label must name `datasetId`, otherwise
   * `VOLUME_NOT_FOUND`.
   */
  destroy(ref: VolumeRef, datasetId: DatasetId, call: Call): Promise<void>;
}

/** What a driver's factory is given besides its own keys of agent.yml. */
export type BackendContext = {
  readonly clusterId: ClusterId;
  /** The pool's name in agent.yml: one of a node's pools, letters, digits, `_`, `.` and `-`. */
  readonly pool: string;
  /** Of this boot, on a tmpfs: mounts and notes of the driver go below it. */
  readonly runDir: string;
  /** The agent's own files, durable: what a driver must remember of this node goes below it. */
  readonly dataDir: string;
  readonly log: Logger;
};
