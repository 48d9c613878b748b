import type { BootId, ClusterId, DatasetId, NodeId, OpId, VolumeRef } from "./ids.ts";

/** The node that a driver works on; `generation` of the claim it acts under. */
export type Attacher = {
  readonly node: NodeId;
  readonly era: BootId;
  readonly generation: number;
};

/** One volume as the storage shows it at this instant. */
export type Volume = {
  readonly ref: VolumeRef;
  readonly datasetId: DatasetId;
  /** The create operation that made it, from its label. */
  readonly op: OpId;
  readonly sizeBytes: number;
  readonly attachedTo: Attacher | null;
};

/** A block device on this node. */
export type Device = {
  readonly path: string;
  /** From sysfs, grows with each attachment: the same path with another number is another disk. */
  readonly diskSequence: number;
};

/** The identity block of a volume: outside of what containers see. */
export type Identity = {
  readonly clusterId: ClusterId;
  readonly datasetId: DatasetId;
  readonly lineage: OpId;
  /** Highest generation that the content was shown under; 0 after mkfs. */
  readonly generation: number;
};

/** Somebody who still has the volume besides our own mounts. */
export type Holder = {
  readonly pid: number | null;
  readonly command: string | null;
  /** Container id from its cgroup, when it is one. */
  readonly container: string | null;
};
