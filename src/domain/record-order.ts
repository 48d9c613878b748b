import type { NodeId } from "./ids.ts";
import type { Claim, DatasetRecord } from "./record.ts";
import { type RecordEvent, type Refusal, refuse } from "./record-event.ts";

type Of<Kind extends RecordEvent["kind"]> = Extract<RecordEvent, { readonly kind: Kind }>;

/** Why an order to `node` changes nothing; null when it does. */
export function orderRefusal(record: DatasetRecord, node: NodeId): Refusal["reason"] | null {
  if (record.deletion !== null) return "deleted";
  if (record.lost) return "lost";
  return isSaid(record, node) ? "already" : null;
}

/**
 * The same order was given before, and is open or has been served with nothing under way elsewhere.
 * What rests at its primary may be leaving for a wish: then the order is a new one.
 */
function isSaid({ primary, orderOpen, claim, move }: DatasetRecord, node: NodeId): boolean {
  if (primary !== node || (move !== null && move.target !== node)) return false;
  // Said again it keeps its age, and with that its place before younger wishes.
  if (orderOpen) return true;
  if (claim?.node !== node) return false;
  // A wish's grant that nobody took may still be declined, and an order given meanwhile stands.
  return claim.phase === "taken" || (claim.phase === "granted" && claim.before === null);
}

/**
 * An order is open until its node has taken a claim. Whoever has the dataset already is served, and
 * does not come before a younger wish again; a move under way from there is older than the order
 * and ends with the wish that it was opened for.
 */
export function ordered(record: DatasetRecord, event: Of<"ordered">): DatasetRecord | Refusal {
  const { node, atMs } = event;
  const reason = orderRefusal(record, node);
  if (reason !== null) return refuse(reason);
  const { claim, move } = record;
  const isGranted = claim?.node === node && claim.phase === "granted";
  return {
    ...record,
    primary: node,
    // A clock that went back does not make it older than what it calls back.
    orderedAtMs: Math.max(atMs, move?.openedAtMs ?? atMs),
    orderOpen: claim?.node !== node || claim.phase !== "taken",
    claim: isGranted ? { ...claim, before: null } : claim,
  };
}

type Order = Pick<DatasetRecord, "primary" | "orderedAtMs" | "orderOpen">;

/**
 * A wish that is granted sets `primary` in the same commit, and `before` takes it back if it is
 * declined. An order that was given since the wish is the later word: it is served next.
 */
export function orderAfterGrant(
  { primary, orderedAtMs, orderOpen }: DatasetRecord,
  node: NodeId,
  wishAtMs: number | null,
): Order & Pick<Claim, "before"> {
  const isNext = orderOpen && primary !== node;
  if (wishAtMs === null) return { primary, orderedAtMs, orderOpen: isNext, before: null };
  const before = { primary, orderedAtMs, orderOpen };
  return isNext && orderedAtMs > wishAtMs
    ? { ...before, before }
    : { primary: node, orderedAtMs: wishAtMs, orderOpen: false, before };
}
