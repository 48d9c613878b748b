import type { OpId, VolumeRef } from "./ids.ts";

/** What the node tells the control service because it saw it, not because it was told. */
export type Report =
  | {
      readonly kind: "volume_created";
      readonly op: OpId;
      readonly ref: VolumeRef;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: "formatted";
      readonly generation: number;
      /** Of what was formatted and used under a claim that the record does not remember. */
      readonly lineage?: OpId;
    }
  | { readonly kind: "released"; readonly generation: number }
  | { readonly kind: "cleared" }
  | { readonly kind: "cut_done" }
  | { readonly kind: "op_done"; readonly op: OpId }
  /** The target of a move has the bulk of it. */
  | { readonly kind: "copied"; readonly move: OpId }
  /** The source sealed, with proof; `generation` of what was sealed. */
  | { readonly kind: "sealed"; readonly move: OpId; readonly generation: number }
  /** The target has everything: synced, compared with the source's sums, durable. */
  | { readonly kind: "received"; readonly move: OpId }
  /** The copy that was made live here is durable. */
  | { readonly kind: "settled" }
  /** Nothing is left here of what was to be discarded. */
  | { readonly kind: "discarded" };
