import type { Claim, DatasetRecord, Op } from "../domain/record.ts";
import type { BootId, NodeId } from "../domain/ids.ts";

/**
 * What one node shall do about one dataset: what the record says, nothing else. "Wanted here, but
 * no claim" is `nothing`, so the illegal mount cannot be written (ADR 0004).
 */
export type Desired =
  | { readonly kind: "use"; readonly record: DatasetRecord; readonly claim: Claim }
  | { readonly kind: "release"; readonly record: DatasetRecord; readonly claim: Claim }
  /** A claim of ours ended without a release: take down what the storage still shows. */
  | { readonly kind: "clean"; readonly record: DatasetRecord }
  /** Our claim was overridden: cut first, touch nothing else. */
  | { readonly kind: "cut"; readonly record: DatasetRecord }
  /** Carry out the record's open op. */
  | { readonly kind: "operate"; readonly record: DatasetRecord; readonly op: Op }
  | { readonly kind: "nothing" }
  /** The control service did not say yet: adopt, change nothing. */
  | { readonly kind: "unknown" };

/** Pure: the part of `record` that concerns `node` in its `era`. */
export function desiredOf(record: DatasetRecord | undefined, node: NodeId, era: BootId): Desired {
  if (record === undefined) return { kind: "nothing" };
  if (record.superseded.includes(node)) return { kind: "cut", record };
  const { claim, op } = record;
  if (claim !== null && claim.node === node && claim.era === era) {
    return { kind: claim.phase === "releasing" ? "release" : "use", record, claim };
  }
  if (op?.executor?.node === node && op.executor.era === era) {
    return { kind: "operate", record, op };
  }
  if (record.residue === node) return { kind: "clean", record };
  return { kind: "nothing" };
}
