import type { NodeId } from "./ids.ts";
import type { LocalCopy } from "./local-copy.ts";
import { type Copy, type DatasetRecord, liveCopy } from "./record.ts";

/** One thing that a node's pool has of a dataset; null generation for what bears no identity. */
export type FoundCopy = { readonly kind: LocalCopy["kind"]; readonly generation: number | null };

export type Found = {
  /** What each node that was heard has, of those that have anything. */
  readonly copies: ReadonlyMap<NodeId, readonly FoundCopy[]>;
  /** Who was heard; of others a person said that they are dead, and the record's word stands. */
  readonly heard: (node: NodeId) => boolean;
  readonly atMs: number;
};

/**
 * Recovery, once every node was heard: the record of a local dataset becomes what the nodes' disks
 * say. Who holds it has the live copy; else whoever has one of the greatest generation, a live one
 * before a sealed or received one, so that a promoted target of a sealed move wins and one that was
 * not promoted is aborted. Another live one diverges: it is kept for a person.
 */
export function recoverCopies(record: DatasetRecord, found: Found): DatasetRecord {
  if (record.poolKind !== "local" || record.volume.kind === "gone") return record;
  const node = liveNode(record, found);
  const isMade = record.volume.kind === "exists" || generationOf(allOf(found), whole) >= 0;
  if (node === null || !isMade) return record.move === null ? record : { ...record, move: null };
  const known = record.copies.filter((one) => one.node !== node || one.role === "diverged");
  const nodes = new Set([...known.map((one) => one.node), ...found.copies.keys()]);
  nodes.delete(node);
  const here = record.copies.filter((one) => one.node === node && one.role === "diverged");
  const others = [...nodes].sort().flatMap((other) => othersOf(record, other, found));
  const all = allOf(found).map(({ generation }) => generation ?? 0);
  return {
    ...record,
    generation: Math.max(record.generation, ...all),
    move: null,
    copies: [live(record, node, found), ...here, ...others],
  };
}

function allOf({ copies }: Found): readonly FoundCopy[] {
  return [...copies.values()].flat();
}

function liveNode(record: DatasetRecord, found: Found): NodeId | null {
  if (record.claim !== null) return record.claim.node;
  const was = liveCopy(record)?.node ?? null;
  const rests = was !== null && found.heard(was);
  const candidates = new Map([...found.copies].filter(([node]) => !isParted(record, node)));
  // Its disk may only be away: what others have stays a fallback until a person gives it up.
  if (rests && generationOf(candidates.get(was) ?? [], whole) < 0 && !isPromoted(candidates)) {
    return was;
  }
  return newest(candidates, was) ?? was;
}

/** A person went on without what this node has, and the record still knows. */
function isParted({ copies }: DatasetRecord, node: NodeId): boolean {
  const mine = copies.filter((one) => one.node === node && one.role !== "replica");
  return mine.length > 0 && mine.every(({ role }) => role === "diverged");
}

const whole = ["live", "sealed", "received"] as const;

/** Some node made its copy live that no other is newer than: it may have been written to. */
function isPromoted(copies: Found["copies"]): boolean {
  const all = [...copies.values()];
  const greatest = Math.max(-1, ...all.map((has) => generationOf(has, whole)));
  return greatest >= 0 && all.some((has) => generationOf(has, ["live"]) === greatest);
}

/**
 * The node that has the copy of the greatest generation. Of equal ones a live one, as it may have
 * been written to since; else where the record has it; else the source, as before an abort.
 */
function newest(copies: Found["copies"], was: NodeId | null): NodeId | null {
  const rank = (node: NodeId, has: readonly FoundCopy[], generation: number): number => {
    if (generationOf(has, ["live"]) === generation) return 0;
    if (node === was) return 1;
    return generationOf(has, ["sealed"]) === generation ? 2 : 3;
  };
  const nodes = [...copies]
    .map(([node, has]) => ({ node, has, generation: generationOf(has, whole) }))
    .filter(({ generation }) => generation >= 0)
    .map(({ node, has, generation }) => ({ node, generation, rank: rank(node, has, generation) }))
    .sort(
      (a, b) =>
        b.generation - a.generation ||
        a.rank - b.rank ||
        Number(b.node === was) - Number(a.node === was) ||
        (a.node < b.node ? -1 : 1),
    );
  return nodes[0]?.node ?? null;
}

/** The greatest of these kinds; -1 without any. */
function generationOf(has: readonly FoundCopy[], kinds: readonly FoundCopy["kind"][]): number {
  const fitting = has.filter(({ kind }) => kinds.includes(kind));
  return Math.max(-1, ...fitting.map(({ generation }) => generation ?? 0));
}

function live(record: DatasetRecord, node: NodeId, { copies, atMs }: Found): Copy {
  const known = liveCopy(record);
  const generation = generationOf(copies.get(node) ?? [], whole);
  if (known?.node === node) {
    return { ...known, generation: Math.max(known.generation, generation) };
  }
  const base = { role: "live", sinceMs: atMs, settled: false, discarding: false } as const;
  return { ...base, node, generation: Math.max(0, generation) };
}

/** What a node has that has not the live copy. */
function othersOf(record: DatasetRecord, node: NodeId, { copies, heard, atMs }: Found): Copy[] {
  const known = record.copies.filter((one) => one.node === node);
  if (!heard(node)) {
    return known.map((one) => (one.role === "live" ? { ...one, role: "diverged" } : one));
  }
  const has = copies.get(node) ?? [];
  const diverged = known.filter(({ role }) => role === "diverged");
  if (has.length > 0) return [...diverged, ...foundOf({ record, node, has, atMs })];
  // Its disk may only be away.
  return [...diverged, ...known.filter(({ role }) => role === "fallback")];
}

type Seen = {
  readonly record: DatasetRecord;
  readonly node: NodeId;
  readonly has: readonly FoundCopy[];
  readonly atMs: number;
};

/** Besides what diverged before, as the record knows. */
function foundOf({ record, node, has, atMs }: Seen): Copy[] {
  const known = record.copies.filter((one) => one.node === node);
  const base = { node, settled: true, discarding: false };
  const parted = generationOf(has, ["live", "diverged"]);
  const kept = generationOf(has, ["sealed", "received"]);
  const spare = known.find(({ role }) => role === "fallback");
  const result: Copy[] = [];
  if (parted >= 0 && !known.some(({ role }) => role === "diverged")) {
    result.push({ ...base, role: "diverged", generation: parted, sinceMs: atMs });
  }
  // What diverged may not have been put aside yet: then it is what is found.
  const isAside = has.some(({ kind }) => kind === "diverged") || !isParted(record, node);
  if (kept >= 0 && isAside) {
    result.push(spare ?? { ...base, role: "fallback", generation: kept, sinceMs: atMs });
  } else if (has.some(({ kind }) => kind === "base" || kind === "partial")) {
    result.push({ ...base, role: "replica", generation: 0, sinceMs: atMs, discarding: true });
  }
  return result;
}

const existence = { never: 0, creating: 1, exists: 2, gone: 3 } as const;

/**
 * What another telling of the same record adds for ever: that its volume exists, or is gone, and
 * that it was formatted, and as what. All that happens within a generation, so neither telling is
 * simply the newer.
 */
export function recoverExistence(record: DatasetRecord, other: DatasetRecord): DatasetRecord {
  const further = existence[other.volume.kind] > existence[record.volume.kind];
  const learnt = record.formatted === "no" && other.formatted === "yes";
  if (!further && !learnt) return record;
  // What was formatted bears the lineage of the claim that it was formatted under.
  const { formatted, lineage } = learnt ? other : record;
  const known = { ...record, formatted, lineage };
  if (!further) return known;
  const { volume } = other;
  return {
    ...known,
    volume,
    copies: record.copies.length === 0 ? other.copies : record.copies,
    deletion: volume.kind === "gone" ? other.deletion : record.deletion,
  };
}
