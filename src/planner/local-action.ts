import type { Condition } from "../domain/condition.ts";
import type { DatasetId, OpId } from "../domain/ids.ts";
import type { Move } from "../domain/record.ts";
import type { Report } from "../domain/report.ts";
import type { Identity } from "../domain/volume.ts";

/**
 * One step on a node of a local pool. `generation` is the claim that it was decided under, null
 * where none is needed; the executor refuses it once that claim is gone.
 */
export type LocalAction = {
  readonly datasetId: DatasetId;
  readonly pool: string;
  readonly generation: number | null;
} & (
  | { readonly kind: "create_live"; readonly op: OpId; readonly identity: LocalIdentity }
  /** A writable snapshot of what was received becomes `live`; limit set and read back. */
  | { readonly kind: "promote_received"; readonly sizeBytes: number }
  /** After an abort: a writable snapshot of the sealed live volume, never of the one sent. */
  | { readonly kind: "reopen_sealed"; readonly sizeBytes: number }
  /** Writes the claim's generation into the identity, durably, and binds `data/`. */
  | { readonly kind: "show_live"; readonly identity: LocalIdentity }
  /** Unbinds and syncs: what containers wrote is durable when it has returned. */
  | { readonly kind: "hide_live" }
  /** Proof of release, read-only, syncfs, last snapshot; durable before it is said. */
  | { readonly kind: "seal_live"; readonly move: Move }
  /** Receives beside everything else, syncs, compares the digest, makes it durable. */
  | { readonly kind: "receive_copy"; readonly move: Move }
  | { readonly kind: "discard_partial" }
  | { readonly kind: "discard_copy" }
  | { readonly kind: "stop_access" }
  | { readonly kind: "destroy_copies"; readonly op: OpId }
);

export type LocalIdentity = Omit<Identity, "clusterId">;
export type LocalActionKind = LocalAction["kind"];

/** What a node of a local pool tells besides what all nodes tell. */
export type LocalReport =
  | Report
  | { readonly kind: "sealed"; readonly move: OpId; readonly generation: number }
  | { readonly kind: "received"; readonly move: OpId }
  | { readonly kind: "discarded" };

export type LocalDecision =
  | { readonly kind: "act"; readonly action: LocalAction }
  | { readonly kind: "report"; readonly report: LocalReport }
  | { readonly kind: "wait"; readonly condition: Condition }
  | { readonly kind: "done" };
