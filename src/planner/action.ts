import type { DatasetId, NodeId, OpId, VolumeRef } from "../domain/ids.ts";
import type { FileSystem } from "../domain/record.ts";
import type { Device, Identity } from "../domain/volume.ts";

/** The cluster is that of the node. */
export type NodeIdentity = Omit<Identity, "clusterId">;

/**
 * One step on this node for a dataset of an attachable pool: one call of a driver or of the host.
 * `generation` is the claim (or, for an op, null) that it was decided under; the executor refuses
 * it once that claim is gone.
 */
export type Action = {
  readonly datasetId: DatasetId;
  readonly pool: string;
  readonly generation: number | null;
} & (
  | { readonly kind: "create_volume"; readonly op: OpId; readonly sizeBytes: number }
  | { readonly kind: "attach_volume"; readonly ref: VolumeRef; readonly claimed: number }
  | {
      readonly kind: "format_volume";
      readonly device: Device;
      readonly identity: NodeIdentity;
      readonly fileSystem: FileSystem;
    }
  | {
      readonly kind: "mount_volume";
      readonly device: Device;
      readonly identity: NodeIdentity;
      readonly fileSystem: FileSystem;
    }
  | { readonly kind: "show_volume" }
  | { readonly kind: "hide_volume" }
  | { readonly kind: "unmount_volume" }
  /** Exclusive hold of the device through the detach: the proof of release. */
  | { readonly kind: "detach_volume"; readonly ref: VolumeRef; readonly device: Device | null }
  | { readonly kind: "cut_access" }
  | {
      readonly kind: "force_detach";
      readonly ref: VolumeRef;
      readonly target: NodeId;
      readonly op: OpId;
    }
  | { readonly kind: "destroy_volume"; readonly ref: VolumeRef; readonly op: OpId }
);

export type ActionKind = Action["kind"];
