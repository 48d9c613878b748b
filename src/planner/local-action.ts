import type { DatasetId, OpId } from "../domain/ids.ts";
import type { StreamStage } from "../domain/local-copy.ts";
import type { Move } from "../domain/record.ts";
import type { NodeIdentity } from "./action.ts";
import type { Decision } from "./decision.ts";

/**
 * One step on a node of a local pool. `generation` is the claim that it was decided under, null
 * where none is needed; the executor refuses it once that claim is gone.
 */
export type LocalAction = {
  readonly datasetId: DatasetId;
  readonly pool: string;
  readonly generation: number | null;
} & (
  | {
      readonly kind: "create_live";
      readonly op: OpId;
      readonly sizeBytes: number;
      readonly identity: NodeIdentity;
      /** The dataset whose copy here it is made of; null for an empty one. */
      readonly from: DatasetId | null;
    }
  /** A writable snapshot of what `move` brought becomes `live`; limit set and read back. */
  | { readonly kind: "promote_received"; readonly move: OpId; readonly sizeBytes: number }
  /** After an abort: a writable snapshot of the sealed live volume, never of the one sent. */
  | { readonly kind: "reopen_sealed"; readonly sizeBytes: number }
  /** Writes the claim's generation into the identity, durably, and binds `data/`. */
  | { readonly kind: "show_live"; readonly identity: NodeIdentity }
  /** Unbinds and syncs: what containers wrote is durable when it has returned. */
  | { readonly kind: "hide_live" }
  /** Proof of release, read-only, syncfs, last snapshot; durable before it is said. */
  | { readonly kind: "seal_live"; readonly move: OpId }
  /** Receives beside everything else, syncs, compares the sums, makes it durable. */
  | { readonly kind: "receive_copy"; readonly move: Move; readonly stage: StreamStage }
  /**
   * Puts a live or sealed volume aside that the record does not call so here, or the copy that the
   * move `received` brought; nothing is removed.
   */
  | { readonly kind: "diverge_live"; readonly received: OpId | null }
  /** What moves other than `except` left behind of receives. */
  | { readonly kind: "discard_partial"; readonly except: OpId | null }
  | { readonly kind: "discard_copy" }
  | { readonly kind: "stop_access" }
  | { readonly kind: "destroy_copies"; readonly op: OpId }
);

export type LocalActionKind = LocalAction["kind"];

export type LocalDecision =
  | { readonly kind: "act"; readonly action: LocalAction }
  | Exclude<Decision, { readonly kind: "act" }>;
