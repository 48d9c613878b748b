import { assert, unreachable } from "../lib/assert.ts";
import type { NodeId } from "./ids.ts";
import { type Copy, type DatasetRecord, liveCopy, type Move } from "./record.ts";
import { type RecordEvent, type Refusal, refuse } from "./record-event.ts";

type Of<Kind extends RecordEvent["kind"]> = Extract<RecordEvent, { readonly kind: Kind }>;

export type MoveEvent = Of<
  "move_opened" | "move_copied" | "move_sealed" | "move_committed" | "move_aborted"
>;

export type CopyEvent = Of<"copy_settled" | "copy_expired" | "copy_discarded">;

/** Why a move to `target` may not be opened; null when it may. */
export function moveRefusal(record: DatasetRecord, target: NodeId): Refusal["reason"] | null {
  if (record.poolKind !== "local") return "not_local";
  if (record.lost) return "lost";
  if (record.deletion !== null) return "deleted";
  if (record.op !== null) return "op_open";
  if (record.move !== null) return "move_open";
  if (record.volume.kind !== "exists") return "volume_unknown";
  const live = liveCopy(record);
  if (live === null) return "no_copy";
  if (live.node === target) return "already";
  // Whoever was taken from must have stopped before it may hold anything new.
  if (record.superseded.includes(target) || record.superseded.includes(live.node)) {
    return "superseded";
  }
  return null;
}

/** The one switch of a move: what is said late, twice or by somebody else changes nothing. */
export function moveStep(record: DatasetRecord, event: MoveEvent): DatasetRecord | Refusal {
  if (event.kind === "move_opened") return opened(record, event);
  const { move } = record;
  if (move === null || move.id !== event.move) return refuse("move_unknown");
  switch (event.kind) {
    case "move_copied":
      if (event.by.node !== move.target) return refuse("not_the_holder");
      return move.phase === "precopy"
        ? { ...record, move: { ...move, phase: "copied" } }
        : refuse("already");
    case "move_sealed":
      return sealed(record, move, event);
    case "move_committed":
      if (event.by.node !== move.target) return refuse("not_the_holder");
      return move.phase === "sealed" ? committed(record, move, event.atMs) : refuse("wrong_phase");
    case "move_aborted":
      return aborted(record, move);
    default:
      return unreachable(event);
  }
}

function opened(record: DatasetRecord, event: Of<"move_opened">): DatasetRecord | Refusal {
  const reason = moveRefusal(record, event.target);
  if (reason !== null) return refuse(reason);
  const live = liveCopy(record);
  assert(live !== null, "what has no live copy was refused");
  const { target, atMs } = event;
  return {
    ...record,
    move: {
      id: event.move,
      source: live.node,
      target,
      phase: "precopy",
      generation: live.generation,
      openedAtMs: atMs,
    },
    copies: [...record.copies, copy(target, "replica", 0, atMs)],
  };
}

/** Sealing is the release of the source's claim, with the same proof. */
function sealed(
  record: DatasetRecord,
  move: Move,
  event: Of<"move_sealed">,
): DatasetRecord | Refusal {
  const { by, generation } = event;
  if (by.node !== move.source) return refuse("not_the_holder");
  if (move.phase !== "copied") return refuse(move.phase === "sealed" ? "already" : "wrong_phase");
  const { claim } = record;
  const releases =
    claim === null ||
    (claim.node === by.node && claim.era === by.era && claim.phase === "releasing");
  if (!releases) return refuse("claimed");
  if (generation < move.generation || generation > record.generation) {
    return refuse("stale_generation");
  }
  return { ...record, claim: null, move: { ...move, phase: "sealed", generation } };
}

function committed(record: DatasetRecord, move: Move, atMs: number): DatasetRecord {
  const { source, target, generation } = move;
  const others = record.copies
    .filter(({ node, role }) => role === "diverged" || (node !== source && node !== target))
    // One fallback is enough: the newest.
    .map((one) => (one.role === "fallback" ? { ...one, discarding: true } : one));
  return {
    ...record,
    move: null,
    copies: [
      copy(target, "live", generation, atMs),
      { ...copy(source, "fallback", generation, atMs), settled: true },
      ...others,
    ],
  };
}

/**
 * The source goes on from what it sealed; what the target got is removed. A fallback that it had
 * stays: a move from a dead disk ends like this, and then the fallback is all that is left.
 */
export function aborted(record: DatasetRecord, move: Move): DatasetRecord {
  const isIncoming = ({ node, role }: Copy): boolean => node === move.target && role === "replica";
  // Beside a fallback its node removes it by itself, as the remainder of a move that has ended.
  if (hasFallback(record, move.target)) {
    return { ...record, copies: record.copies.filter((one) => !isIncoming(one)), move: null };
  }
  return {
    ...change(record, (one) => (isIncoming(one) ? { ...one, discarding: true } : one)),
    move: null,
  };
}

function hasFallback({ copies }: DatasetRecord, node: NodeId): boolean {
  return copies.some((one) => one.node === node && one.role === "fallback" && !one.discarding);
}

/** What becomes of single copies between moves. */
export function copyStep(record: DatasetRecord, event: CopyEvent): DatasetRecord | Refusal {
  switch (event.kind) {
    case "copy_settled": {
      const live = liveCopy(record);
      if (live?.node !== event.by.node) return refuse("not_the_holder");
      if (live.settled) return refuse("already");
      return change(record, (one) => (one === live ? { ...one, settled: true } : one));
    }
    case "copy_expired": {
      if (record.move !== null) return refuse("move_open");
      // Only what is safe elsewhere is given up.
      if (liveCopy(record)?.settled !== true) return refuse("no_copy");
      const spare = record.copies.find(
        ({ node, role, discarding }) => node === event.node && role === "fallback" && !discarding,
      );
      if (spare === undefined) return refuse("already");
      return change(record, (one) => (one === spare ? { ...one, discarding: true } : one));
    }
    case "copy_discarded": {
      const mine = (one: Copy): boolean => one.node === event.by.node && one.discarding;
      if (!record.copies.some(mine)) return refuse("already");
      return { ...record, copies: record.copies.filter((one) => !mine(one)) };
    }
    default:
      return unreachable(event);
  }
}

/**
 * A person gave the node of the live copy up: the newest fallback elsewhere becomes live, and
 * what the dead node has diverges in the same commit. Without one its owner keeps the right to it.
 */
export function withoutNode(
  record: DatasetRecord,
  { node, atMs, away = [] }: Of<"overridden">,
): DatasetRecord {
  const { move } = record;
  const concerned = move !== null && (move.source === node || move.target === node);
  const ended = concerned ? endedWithout(record, move, { node, atMs }) : record;
  const live = liveCopy(ended);
  if (live?.node !== node) return ended;
  const best = ended.copies
    .filter(({ role, discarding }) => role === "fallback" && !discarding)
    .filter((one) => one.node !== node && !away.includes(one.node))
    .sort((a, b) => b.generation - a.generation || b.sinceMs - a.sinceMs)[0];
  if (best === undefined) return ended;
  return change(ended, (one) => {
    if (one === best) return { ...one, role: "live", settled: false, sinceMs: atMs };
    return one === live ? { ...one, role: "diverged", sinceMs: atMs } : one;
  });
}

/**
 * With its source gone, what the target has may be all that is left: the fallback from before, or,
 * once the source was sealed, all of what was on its way. That one is kept for a person.
 */
function endedWithout(
  record: DatasetRecord,
  move: Move,
  { node, atMs }: { readonly node: NodeId; readonly atMs: number },
): DatasetRecord {
  const { source, target, phase, generation } = move;
  const isLeft = source === node && phase === "sealed";
  // Should all of the rest have come beside a fallback, its node goes on from that: it is newer.
  if (!isLeft || hasFallback(record, target)) return aborted(record, move);
  const isIncoming = (one: Copy): boolean => one.node === target && one.role === "replica";
  const parted = copy(target, "diverged", generation, atMs);
  return { ...change(record, (one) => (isIncoming(one) ? parted : one)), move: null };
}

/**
 * Recovery: `node` has it mounted, so its copy is the live one, whatever the store remembers; what
 * was live elsewhere is older. A move that was open has ended with it.
 */
export function heldAt(record: DatasetRecord, node: NodeId): DatasetRecord {
  const live = liveCopy(record);
  // Who has not said that it made the first one may not have made it.
  if (live?.node === node || record.volume.kind !== "exists") return { ...record, move: null };
  const others = record.copies
    .filter((one) => one.node !== node || one.role === "diverged")
    .map((one) => (one === live ? { ...one, role: "fallback" as const } : one));
  const known = copy(node, "live", live?.generation ?? 0, record.createdAtMs);
  return { ...record, move: null, copies: [{ ...known, settled: true }, ...others] };
}

function change(record: DatasetRecord, each: (one: Copy) => Copy): DatasetRecord {
  return { ...record, copies: record.copies.map(each) };
}

export function copy(node: NodeId, role: Copy["role"], generation: number, sinceMs: number): Copy {
  return { node, role, generation, sinceMs, settled: false, discarding: false };
}
