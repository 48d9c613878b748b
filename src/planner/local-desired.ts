import type { BootId, NodeId } from "../domain/ids.ts";
import type { Claim, Copy, DatasetRecord, Move, Op } from "../domain/record.ts";

/** What one node shall do about one dataset of a local pool: what the record says. */
export type DesiredLocal =
  | { readonly kind: "use"; readonly record: DatasetRecord; readonly claim: Claim }
  | { readonly kind: "release"; readonly record: DatasetRecord; readonly claim: Claim }
  /** The source of a move whose users are gone: nobody mounts it from here, not even this node. */
  | { readonly kind: "seal"; readonly record: DatasetRecord; readonly move: Move }
  | { readonly kind: "receive"; readonly record: DatasetRecord; readonly move: Move }
  /** What is here is not needed any more; live and diverged copies stay. */
  | { readonly kind: "discard"; readonly record: DatasetRecord; readonly node: NodeId }
  /** Another copy was made live without the one here: put aside, for a person. */
  | { readonly kind: "diverge"; readonly record: DatasetRecord; readonly node: NodeId }
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
  if (move !== null && move.source === node && seals(move, claim, ours)) {
    return { kind: "seal", record, move };
  }
  if (ours !== null) {
    return { kind: ours.phase === "releasing" ? "release" : "use", record, claim: ours };
  }
  if (move !== null && move.target === node) return { kind: "receive", record, move };
  if (op?.kind === "destroy" && op.executor?.node === node && op.executor.era === era) {
    return { kind: "operate", record, op };
  }
  return ofCopies(record, node);
}

/**
 * Sealed is durable: it binds the source whatever becomes of its claim. While nobody holds it, what
 * an earlier move brought is made live for its bulk to be sent; it is sealed once that is there.
 */
function seals(move: Move, claim: Claim | null, ours: Claim | null): boolean {
  if (claim === null || move.phase === "sealed") return true;
  return move.phase === "copied" && ours?.phase === "releasing";
}

function ofCopies(record: DatasetRecord, node: NodeId): DesiredLocal {
  const mine = record.copies.filter((copy) => copy.node === node);
  if (mine.some(({ discarding }) => discarding)) return { kind: "discard", record, node };
  const parted = mine.length > 0 && mine.every(({ role }) => role === "diverged");
  return parted ? { kind: "diverge", record, node } : { kind: "nothing" };
}

/** What the record calls this node's copy, an incoming one last; null when it knows of none. */
export function roleOf(record: DatasetRecord, node: NodeId): Copy["role"] | null {
  return copyOf(record, node)?.role ?? null;
}

const order: readonly Copy["role"][] = ["live", "fallback", "replica", "diverged"];

/** This node's copy in the record: the live one before what is kept, what comes in, what parted. */
export function copyOf(record: DatasetRecord, node: NodeId): Copy | null {
  const mine = record.copies.filter((copy) => copy.node === node);
  return mine.sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role))[0] ?? null;
}
