import type { OpId, VolumeRef } from "./ids.ts";

/** What the node tells the control service because it saw it, not because it was told. */
export type Report =
  | {
      readonly kind: "volume_created";
      readonly op: OpId;
      readonly ref: VolumeRef;
      readonly sizeBytes: number;
    }
  | { readonly kind: "formatted"; readonly generation: number }
  | { readonly kind: "released"; readonly generation: number }
  | { readonly kind: "cleared" }
  | { readonly kind: "cut_done" }
  | { readonly kind: "op_done"; readonly op: OpId };
