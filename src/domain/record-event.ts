import type { BootId, NodeId, OpId, VolumeRef } from "./ids.ts";
import type { Op, Reclaim } from "./record.ts";

/** Whose message it is: the effect of a message counts only in the node's current session. */
export type Speaker = { readonly node: NodeId; readonly era: BootId; readonly session: number };

/** Everything that can happen to a dataset's record. */
export type RecordEvent =
  /** A lasting order by REST: the dataset should be on `node`. */
  | { readonly kind: "ordered"; readonly node: NodeId; readonly atMs: number }
  /** A claim is given to a live session that asked (order or wish). */
  | {
      readonly kind: "granted";
      readonly to: Speaker;
      /** Set when a wish is granted: `primary` changes in the same commit. */
      readonly wishAtMs: number | null;
      /** Token for the creation of the volume from `never`; after that for its mkfs. */
      readonly createOp: OpId;
    }
  | { readonly kind: "taken"; readonly by: Speaker; readonly generation: number }
  /** The holder is idle and gives back: durable from here, later mounts queue. */
  | { readonly kind: "release_begun"; readonly by: Speaker; readonly generation: number }
  /** With proof: nothing in flight, unmounted, no holder, detached. */
  | { readonly kind: "released"; readonly by: Speaker; readonly generation: number }
  /** The holder declined a grant that came after the wish's deadline; `primary` is restored. */
  | {
      readonly kind: "declined";
      readonly by: Speaker;
      readonly generation: number;
    }
  /**
   * The storage shows it attached to `node`, which has no claim (a store that was set back does not
   * know of it): the holder, which has nothing mounted, gives back, and that node cleans up first.
   */
  | {
      readonly kind: "attached_elsewhere";
      readonly by: Speaker;
      readonly generation: number;
      readonly node: NodeId;
    }
  /** A new boot id of the same machine said hello: the old era's claim has ended. */
  | { readonly kind: "rebooted"; readonly node: NodeId; readonly era: BootId }
  /** Storage or power confirmed that `node` cannot write any more. */
  | { readonly kind: "fenced"; readonly node: NodeId }
  /** A person's word: the claim ends and the loss is accepted (audited by the caller). */
  | {
      readonly kind: "overridden";
      readonly node: NodeId;
      /** Nodes whose fallbacks nobody can get at either: none of them is made live. */
      readonly away?: readonly NodeId[];
      /** A recovery goes on without it: it may have been granted what no store remembers. */
      readonly unheard?: boolean;
      readonly op: OpId;
      readonly atMs: number;
    }
  /** A hello shows it mounted on a node that has no claim: that node must cut it. */
  | { readonly kind: "found_mounted"; readonly node: NodeId; readonly era: BootId }
  /** The node reports that nothing of a former era or claim is left on it. */
  | { readonly kind: "residue_cleared"; readonly by: Speaker }
  /** A superseded node reports that it cut its access. */
  | { readonly kind: "cut_reported"; readonly by: Speaker }
  | {
      readonly kind: "volume_registered";
      readonly by: Speaker;
      readonly op: OpId;
      readonly ref: VolumeRef;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: "formatted";
      readonly by: Speaker;
      readonly generation: number;
      /** When it is not the record's: that is of a store that went back. */
      readonly lineage?: OpId;
    }
  | { readonly kind: "op_assigned"; readonly op: OpId; readonly executor: Op["executor"] }
  | { readonly kind: "op_vanished"; readonly op: OpId; readonly atMs: number }
  /** A definitive answer of the storage; also after `operationMsMax` and a fresh direct read. */
  | {
      readonly kind: "op_closed";
      readonly op: OpId;
      readonly outcome: "done" | "not_done";
    }
  | { readonly kind: "deletion_asked"; readonly atMs: number; readonly reclaim: Reclaim }
  /** Nobody holds it any more: trash, retain, or open the destroy op. */
  | { readonly kind: "deletion_advanced"; readonly op: OpId }
  /** A local dataset is to go to `target`; its holder goes on using it meanwhile. */
  | {
      readonly kind: "move_opened";
      readonly move: OpId;
      readonly target: NodeId;
      readonly atMs: number;
    }
  /** The target has the bulk. */
  | { readonly kind: "move_copied"; readonly by: Speaker; readonly move: OpId }
  /** The source sealed, with proof: this is also the end of its claim. */
  | {
      readonly kind: "move_sealed";
      readonly by: Speaker;
      readonly move: OpId;
      /** Of what was sealed. */
      readonly generation: number;
    }
  /** The target has everything, synced and compared: its copy is the live one from here. */
  | {
      readonly kind: "move_committed";
      readonly by: Speaker;
      readonly move: OpId;
      readonly atMs: number;
    }
  | { readonly kind: "move_aborted"; readonly move: OpId }
  /** The node of the live copy says that it is durable there. */
  | { readonly kind: "copy_settled"; readonly by: Speaker }
  /** A fallback was kept long enough. */
  | { readonly kind: "copy_expired"; readonly node: NodeId }
  | { readonly kind: "copy_discarded"; readonly by: Speaker }
  /** Not deleted after all, under a name that is free. */
  | { readonly kind: "restored"; readonly metadata: Readonly<Record<string, string>> }
  /** What is in the trash, or was kept, is to be destroyed. */
  | { readonly kind: "purge_asked" }
  /** `flocker control recover`: an agent holds more than the store remembers. */
  | { readonly kind: "generation_raised"; readonly generation: number }
  | {
      readonly kind: "claim_recovered";
      readonly holder: { readonly node: NodeId; readonly era: BootId; readonly generation: number };
    }
  /** During recovery: the agent that the store believed to be the holder does not hold it. */
  | { readonly kind: "claim_forgotten"; readonly node: NodeId };

export type Refusal = {
  readonly kind: "refused";
  /** Stable text for logs and tests. */
  readonly reason:
    | "deleted"
    | "lost"
    | "op_open"
    | "move_open"
    | "claimed"
    | "no_claim"
    | "stale_generation"
    | "not_the_holder"
    | "residue"
    | "superseded"
    | "duplicate_volume"
    | "op_unknown"
    | "already"
    | "volume_gone"
    | "not_deleting"
    | "volume_unknown"
    | "not_local"
    | "no_copy"
    | "copy_elsewhere"
    | "move_unknown"
    | "wrong_phase"
    | "not_in_trash";
};

export function refuse(reason: Refusal["reason"]): Refusal {
  return { kind: "refused", reason };
}
