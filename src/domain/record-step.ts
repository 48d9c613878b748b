import { assert, unreachable } from "../lib/assert.ts";
import type { BootId, NodeId } from "./ids.ts";
import { deletionStep, destroyed } from "./record-deletion.ts";
import { copy, copyStep, heldAt, moveStep, withoutNode } from "./record-move.ts";
import { orderAfterGrant, ordered } from "./record-order.ts";
import { type Claim, type DatasetRecord, liveCopy, type Op } from "./record.ts";
import { type RecordEvent, type Refusal, refuse } from "./record-event.ts";

type Of<Kind extends RecordEvent["kind"]> = Extract<RecordEvent, { readonly kind: Kind }>;

/**
 * The only way a dataset's record changes. Pure; the caller saves the answer by compare-and-set on
 * `revision` and lets nothing that follows from it leave before the fsync.
 * A refusal changes nothing and means that the event came late, twice or from the wrong node.
 */
export function recordStep(record: DatasetRecord, event: RecordEvent): DatasetRecord | Refusal {
  const next = dispatch(record, event);
  if (!isRefusal(next)) assertRecord(record, next);
  return next;
}

export function isRefusal(value: DatasetRecord | Refusal): value is Refusal {
  return "kind" in value;
}

function dispatch(record: DatasetRecord, event: RecordEvent): DatasetRecord | Refusal {
  switch (event.kind) {
    case "ordered":
      return ordered(record, event);
    case "granted":
      return granted(record, event);
    case "taken":
    case "release_begun":
    case "released":
    case "declined":
    case "attached_elsewhere":
      return byHolder(record, event);
    case "rebooted":
      return rebooted(record, event);
    case "fenced":
    case "overridden":
      return takenAway(record, event);
    case "found_mounted":
      return claimOf(record, event.node, event.era) !== null ||
        record.superseded.includes(event.node)
        ? refuse("already")
        : { ...record, superseded: [...record.superseded, event.node] };
    case "residue_cleared":
      return record.residue === event.by.node ? { ...record, residue: null } : refuse("already");
    case "cut_reported":
      return record.superseded.includes(event.by.node)
        ? cleanAgain(record, event.by.node)
        : refuse("already");
    case "volume_registered":
      return registered(record, event);
    case "formatted":
      return formatted(record, event);
    case "op_assigned":
    case "op_vanished":
    case "op_closed":
      return opEvent(record, event);
    case "move_opened":
    case "move_copied":
    case "move_sealed":
    case "move_committed":
    case "move_aborted":
      return moveStep(record, event);
    case "copy_settled":
    case "copy_expired":
    case "copy_discarded":
      return copyStep(record, event);
    case "deletion_asked":
    case "restored":
    case "purge_asked":
    case "deletion_advanced":
      return deletionStep(record, event);
    case "generation_raised":
      return event.generation > record.generation
        ? { ...record, generation: event.generation }
        : refuse("already");
    case "claim_recovered":
      return claimRecovered(record, event);
    case "claim_forgotten":
      return record.claim?.node === event.node
        ? { ...forgotten(record, event.node), claim: null }
        : refuse("no_claim");
    default:
      return unreachable(event);
  }
}

function without(nodes: readonly NodeId[], node: NodeId): readonly NodeId[] {
  return nodes.filter((other) => other !== node);
}

/** Why `node` may not be granted this dataset; null when it may. */
export function grantRefusal(record: DatasetRecord, node: NodeId): Refusal["reason"] | null {
  if (record.lost) return "lost";
  if (record.deletion !== null) return "deleted";
  if (record.op !== null) return "op_open";
  // Its source may use it until the bulk is at the target: it was rebooted meanwhile, say.
  const atHome = record.move?.phase === "precopy" && record.move.source === node;
  if (record.move !== null && !atHome) return "move_open";
  if (record.claim !== null) return "claimed";
  if (record.volume.kind === "gone") return "volume_gone";
  if (record.superseded.includes(node)) return "superseded";
  if (record.residue !== null && record.residue !== node) return "residue";
  return record.poolKind === "local" ? placeRefusal(record, node) : null;
}

/** A local dataset is used where its live copy is; a first one is made anywhere. */
function placeRefusal(record: DatasetRecord, node: NodeId): Refusal["reason"] | null {
  const live = liveCopy(record);
  if (live !== null) return live.node === node ? null : "copy_elsewhere";
  if (record.volume.kind === "exists") return "no_copy";
  return record.from === null || record.from.node === node ? null : "copy_elsewhere";
}

function granted(record: DatasetRecord, event: Of<"granted">): DatasetRecord | Refusal {
  const { node, era } = event.to;
  const reason = grantRefusal(record, node);
  if (reason !== null) return refuse(reason);
  const generation = record.generation + 1;
  const { before, ...order } = orderAfterGrant(record, node, event.wishAtMs);
  // A mkfs that lands after its claim was taken away must not pass for the next holder's.
  const made = record.formatted === "yes" || record.volume.kind === "never";
  return {
    ...record,
    ...order,
    generation,
    lineage: made || record.poolKind === "local" ? record.lineage : event.createOp,
    claim: { node, era, generation, phase: "granted", before },
    volume:
      record.volume.kind === "never" ? { kind: "creating", op: event.createOp } : record.volume,
  };
}

function byHolder(record: DatasetRecord, event: ByHolder): DatasetRecord | Refusal {
  const claim = record.claim;
  if (claim === null) return refuse("no_claim");
  if (!holds(claim, event)) {
    return refuse(claim.generation === event.generation ? "not_the_holder" : "stale_generation");
  }
  switch (event.kind) {
    case "taken":
      return claim.phase === "granted" ? taken(record, claim) : refuse("already");
    case "release_begun":
      return claim.phase === "releasing"
        ? refuse("already")
        : { ...record, claim: { ...claim, phase: "releasing" } };
    case "released":
      return { ...withoutResidue(record, claim.node), claim: null };
    case "declined":
      return claim.phase === "granted" ? unserved(record, claim) : refuse("already");
    case "attached_elsewhere":
      if (event.node === claim.node) return refuse("already");
      return withResidue(unserved(record, claim), event.node);
    default:
      return unreachable(event);
  }
}

function taken(record: DatasetRecord, claim: Claim): DatasetRecord {
  return {
    ...withoutResidue(record, claim.node),
    claim: { ...claim, phase: "taken" },
    // One that was given since the grant is served by it.
    orderOpen: record.orderOpen && record.primary !== claim.node,
  };
}

/** An order that came since the wish stands; only the grant's own change is taken back. */
function unserved(record: DatasetRecord, { node, before }: Claim): DatasetRecord {
  return record.primary === node && before !== null
    ? { ...record, claim: null, ...before }
    : { ...record, claim: null };
}

type ByHolder = Of<"taken" | "release_begun" | "released" | "declined" | "attached_elsewhere">;

function holds(claim: Claim, { by, generation }: ByHolder | Of<"formatted">): boolean {
  return claim.generation === generation && claim.node === by.node && claim.era === by.era;
}

/**
 * A superseded node that cannot write any more, and speaks, detaches what it had: an attach of its
 * own may have landed after the forced detach, and nobody else ever takes it away.
 */
function cleanAgain(record: DatasetRecord, node: NodeId): DatasetRecord {
  const clean = { ...record, superseded: without(record.superseded, node) };
  const mayBeAttached = record.poolKind === "attachable" && record.volume.kind !== "gone";
  return mayBeAttached && record.residue === null ? { ...clean, residue: node } : clean;
}

function rebooted(record: DatasetRecord, event: Of<"rebooted">): DatasetRecord | Refusal {
  const { claim, superseded, poolKind } = record;
  const ended = claim !== null && claim.node === event.node && claim.era !== event.era;
  if (!ended && !superseded.includes(event.node)) return refuse("already");
  // Nothing of the old boot can write any more.
  const clean = superseded.includes(event.node) ? cleanAgain(record, event.node) : record;
  if (!ended) return clean;
  // Nothing of a local volume stands anywhere but on the node itself.
  return { ...(poolKind === "local" ? clean : withResidue(clean, event.node)), claim: null };
}

function takenAway(
  record: DatasetRecord,
  event: Of<"fenced" | "overridden">,
): DatasetRecord | Refusal {
  const held = record.claim?.node === event.node;
  if (record.poolKind === "local") return localTakenAway(record, event);
  const mayBeAttached = record.volume.kind === "exists" || record.volume.kind === "creating";
  const unknown = event.kind === "overridden" && event.unheard === true;
  const perhaps = unknown && record.claim === null && mayBeAttached;
  if (!held && record.residue !== event.node && !perhaps) return refuse("no_claim");
  if (record.op !== null) return refuse("op_open");
  // What somebody else holds by now is attached to that one.
  const free = held || record.claim === null;
  const op: Op | null =
    event.kind === "overridden" && free && mayBeAttached
      ? {
          id: event.op,
          kind: "force_detach",
          target: event.node,
          executor: null,
          vanishedAtMs: null,
        }
      : null;
  return {
    ...record,
    claim: held ? null : record.claim,
    residue: record.residue === event.node ? null : record.residue,
    superseded: [...without(record.superseded, event.node), event.node],
    op,
  };
}

/** Nothing has to be detached: the node stops by itself, and a person may go on without it. */
function localTakenAway(
  record: DatasetRecord,
  event: Of<"fenced" | "overridden">,
): DatasetRecord | Refusal {
  const { node } = event;
  const held = record.claim?.node === node;
  const kept = held
    ? { ...record, claim: null, superseded: [...without(record.superseded, node), node] }
    : record;
  const next = event.kind === "overridden" ? withoutNode(kept, event) : kept;
  return next === record ? refuse("no_claim") : next;
}

function registered(
  record: DatasetRecord,
  event: Of<"volume_registered">,
): DatasetRecord | Refusal {
  switch (record.volume.kind) {
    case "creating":
      if (record.volume.op !== event.op) return refuse("duplicate_volume");
      // On a node's own disks it is of use to nobody else: a claim and its copy are in one place.
      if (record.poolKind === "local" && (record.claim?.node ?? event.by.node) !== event.by.node) {
        return refuse("not_the_holder");
      }
      return {
        ...record,
        volume: { kind: "exists", ref: event.ref, sizeBytes: event.sizeBytes },
        copies: record.poolKind === "local" ? [firstCopy(record, event.by.node)] : [],
      };
    case "exists":
      return refuse(record.volume.ref === event.ref ? "already" : "duplicate_volume");
    case "never":
    case "gone":
      return refuse("volume_unknown");
    default:
      return unreachable(record.volume);
  }
}

/** Whoever registers first has the live one; what another node made for it is never used. */
function firstCopy({ createdAtMs }: DatasetRecord, node: NodeId): DatasetRecord["copies"][number] {
  return { ...copy(node, "live", 0, createdAtMs), settled: true };
}

function formatted(record: DatasetRecord, event: Of<"formatted">): DatasetRecord | Refusal {
  if (record.claim === null) return refuse("no_claim");
  if (!holds(record.claim, event)) return refuse("not_the_holder");
  if (record.volume.kind !== "exists") return refuse("volume_unknown");
  if (record.formatted === "yes") return refuse("already");
  return { ...record, formatted: "yes", lineage: event.lineage ?? record.lineage };
}

function opEvent(
  record: DatasetRecord,
  event: Of<"op_assigned" | "op_vanished" | "op_closed">,
): DatasetRecord | Refusal {
  const op = record.op;
  if (op === null || op.id !== event.op) return refuse("op_unknown");
  switch (event.kind) {
    case "op_assigned":
      return { ...record, op: { ...op, executor: event.executor, vanishedAtMs: null } };
    case "op_vanished":
      return op.executor === null || op.vanishedAtMs !== null
        ? refuse("already")
        : { ...record, op: { ...op, vanishedAtMs: event.atMs } };
    case "op_closed":
      if (event.outcome === "not_done") {
        return { ...record, op: { ...op, executor: null, vanishedAtMs: null } };
      }
      return op.kind === "destroy" ? destroyed(record) : { ...record, op: null };
    default:
      return unreachable(event);
  }
}

/**
 * The node has the volume by right, or proved that it has nothing of it. A mere grant says neither:
 * it may be declined, and then the node still has to clean up.
 */
function withoutResidue(record: DatasetRecord, node: NodeId): DatasetRecord {
  return record.residue === node ? { ...record, residue: null } : record;
}

/** Remembers a node whose attachment may stand; beside another such node it has to cut first. */
function withResidue(record: DatasetRecord, node: NodeId): DatasetRecord {
  const free = record.residue === null || record.residue === node;
  return free && record.poolKind === "attachable"
    ? { ...record, residue: node }
    : { ...record, superseded: [...without(record.superseded, node), node] };
}

/**
 * A node says that it has the dataset mounted. The highest generation is the latest in history: an
 * older holder was taken from meanwhile and must clean up.
 */
function claimRecovered(
  record: DatasetRecord,
  { holder }: Of<"claim_recovered">,
): DatasetRecord | Refusal {
  const { claim, op } = record;
  if (record.superseded.includes(holder.node)) return refuse("superseded");
  if (claim !== null && claim.generation >= holder.generation) {
    if (claim.node !== holder.node) return withResidue(record, holder.node);
    return refuse(claim.generation === holder.generation ? "already" : "stale_generation");
  }
  // A later generation was named meanwhile, so that this claim has ended.
  if (claim === null && op === null && holder.generation < record.generation) {
    return withResidue(record, holder.node);
  }
  // Nothing was granted while the op was open: a newer generation means that it has been closed.
  if (op !== null && holder.generation <= record.generation) return refuse("op_open");
  const kept = { ...record, residue: record.residue === holder.node ? null : record.residue };
  const others =
    claim === null || claim.node === holder.node ? kept : withResidue(kept, claim.node);
  return {
    ...(record.poolKind === "local" ? heldAt(others, holder.node) : others),
    generation: Math.max(record.generation, holder.generation),
    claim: { ...holder, phase: "taken", before: null },
    orderOpen: others.orderOpen && others.primary !== holder.node,
    op: null,
  };
}

/** Not held there: an attachment may stand all the same, a local volume needs nothing. */
function forgotten(record: DatasetRecord, node: NodeId): DatasetRecord {
  return record.poolKind === "local" ? record : withResidue(record, node);
}

/** What no event may do, whatever its case says: the last line before a wrong record is saved. */
function assertRecord(before: DatasetRecord, after: DatasetRecord): void {
  assert(after.datasetId === before.datasetId, "a record keeps its id");
  assert(after.generation >= before.generation, "a generation never goes back");
  assert(!(before.formatted === "yes" && after.formatted === "no"), "formatted is never unsaid");
  const was = before.volume.kind;
  const is = after.volume.kind;
  assert(is !== "never" || was === "never", "existence is never forgotten");
  assert(was !== "exists" || is !== "creating", "a volume that exists is not created again");
  const live = after.copies.filter(({ role }) => role === "live");
  assert(live.length <= 1, "one copy at most is live");
  assert(after.move?.phase !== "sealed" || after.claim === null, "nobody holds what is sealed");
  const { claim } = after;
  if (claim === null) return;
  assert(claim.generation <= after.generation, "a claim's generation is in the history");
  assert(after.op === null, "nothing is held while an op is open");
  if (before.claim?.generation !== claim.generation) {
    assert(before.claim === null || claim.phase === "taken", "a claim is not passed over");
  }
}

/** A claim of `node` in this `era`, if it has one. */
export function claimOf(record: DatasetRecord, node: NodeId, era: BootId): Claim | null {
  const { claim } = record;
  return claim !== null && claim.node === node && claim.era === era ? claim : null;
}
