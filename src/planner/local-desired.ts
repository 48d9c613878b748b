import type { BootId, NodeId } from "../domain/ids.ts";
import type { Claim, Copy, DatasetRecord, Move, Op } from "../domain/record.ts";

/** What one node shall do about one dataset of a local pool: what the record says (design 4.9). */
export type DesiredLocal =
  | { readonly kind: "use"; readonly record: DatasetRecord; readonly claim: Claim }
  | { readonly kind: "release"; readonly record: DatasetRecord; readonly claim: Claim }
  /** The source of a move whose users are gone: nobody mounts it from here, not even this node. */
  | { readonly kind: "seal"; readonly record: DatasetRecord; readonly move: Move }
  | { readonly kind: "receive"; readonly record: DatasetRecord; readonly move: Move }
  /** A copy that is neither live nor diverged and is not needed any more. */
  | { readonly kind: "discard"; readonly record: DatasetRecord; readonly copy: Copy }
  | { readonly kind: "clean"; readonly record: DatasetRecord }
  | { readonly kind: "cut"; readonly record: DatasetRecord }
  | { readonly kind: "operate"; readonly record: DatasetRecord; readonly op: Op }
  | { readonly kind: "nothing" }
  | { readonly kind: "unknown" };

/** Pure: the part of `record` that concerns `node` in its `era`. */
export function desiredLocalOf(
  record: DatasetRecord | undefined,
  node: NodeId,
  era: BootId,
): DesiredLocal {
  if (record === undefined) return { kind: "nothing" };
  if (record.superseded.includes(node)) return { kind: "cut", record };
  const { claim, move, op } = record;
  const ours = claim !== null && claim.node === node && claim.era === era ? claim : null;
  // Sealed is durable: it binds the source whatever becomes of its claim.
  const seals = move?.phase === "sealed" || ours?.phase === "releasing";
  if (move !== null && move.source === node && seals) return { kind: "seal", record, move };
  if (ours !== null) {
    return { kind: ours.phase === "releasing" ? "release" : "use", record, claim: ours };
  }
  if (move !== null && move.target === node) return { kind: "receive", record, move };
  if (op?.kind === "destroy" && op.executor?.node === node && op.executor.era === era) {
    return { kind: "operate", record, op };
  }
  if (record.residue === node) return { kind: "clean", record };
  const copy = record.copies.find((one) => one.node === node);
  const over = record.deletion?.phase === "gone";
  return over && copy !== undefined ? { kind: "discard", record, copy } : { kind: "nothing" };
}

/** What the record calls this node's copy; null when it knows of none. */
export function roleOf(record: DatasetRecord, node: NodeId): Copy["role"] | null {
  return record.copies.find((copy) => copy.node === node)?.role ?? null;
}
