import type { NodeId, OpId } from "../domain/ids.ts";
import type { Device, Holder, Identity, Volume } from "../domain/volume.ts";

/** What one node sees of one dataset of an attachable pool. Each kind has just its own fields. */
export type ObservedAttachable =
  /** Could not look. Never means that nothing is there. */
  | { readonly kind: "unknown"; readonly reason: string; readonly busy: boolean }
  | { readonly kind: "absent" }
  /** Several volumes claim this dataset and the record does not say which one. */
  | { readonly kind: "duplicate"; readonly volumes: readonly Volume[] }
  | { readonly kind: "detached"; readonly volume: Volume }
  | { readonly kind: "elsewhere"; readonly volume: Volume; readonly node: NodeId }
  /** Attached to this node by an earlier era, or without a device. */
  | { readonly kind: "stale"; readonly volume: Volume }
  | { readonly kind: "blank"; readonly volume: Volume; readonly device: Device }
  /** Bears our own unfinished mkfs. */
  | { readonly kind: "partial"; readonly volume: Volume; readonly device: Device }
  | {
      readonly kind: "ready";
      readonly volume: Volume;
      readonly device: Device;
      readonly identity: Identity;
    }
  | {
      readonly kind: "foreign";
      readonly volume: Volume;
      readonly device: Device;
      readonly detail: string;
    }
  /** Not mounted by us, but somebody still has the device. */
  | { readonly kind: "held"; readonly holders: readonly Holder[] }
  /** Mounted privately, not shown to containers. */
  | { readonly kind: "mounted" }
  | { readonly kind: "shown"; readonly holders: readonly Holder[] };

/**
 * What one node sees of one dataset of a local pool: the one copy of several that
 * matters for what is desired; `local-look.ts` chooses it.
 */
export type ObservedLocal =
  | { readonly kind: "unknown"; readonly reason: string; readonly busy: boolean }
  | { readonly kind: "pool_missing" }
  | { readonly kind: "absent" }
  /** A receive that did not end; never mounted. */
  | { readonly kind: "partial"; readonly move: OpId }
  /** The bulk of a move; its delta is missing. Never mounted. */
  | { readonly kind: "base"; readonly move: OpId }
  | { readonly kind: "received"; readonly identity: Identity; readonly move: OpId }
  | { readonly kind: "live"; readonly identity: Identity }
  | {
      readonly kind: "sealed";
      readonly identity: Identity;
      readonly move: OpId;
      /** Somebody wrote to it after its last snapshot: what was sent is not all of it. */
      readonly changed: boolean;
    }
  | { readonly kind: "diverged"; readonly identity: Identity }
  /**
   * Called diverged by the record, but still in the place of what is used or sealed, or of the copy
   * that the move `received` brought.
   */
  | { readonly kind: "parted"; readonly identity: Identity; readonly received: OpId | null }
  | { readonly kind: "foreign"; readonly detail: string }
  /** Not mounted by us, but somebody still has files of it open. */
  | { readonly kind: "held"; readonly holders: readonly Holder[] }
  | { readonly kind: "shown"; readonly holders: readonly Holder[] };
