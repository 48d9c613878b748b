import { unreachable } from "../lib/assert.ts";
import type { NodeId, OpId } from "../domain/ids.ts";
import type { LocalCopy } from "../domain/local-copy.ts";
import type { Copy, DatasetRecord } from "../domain/record.ts";
import type { DesiredLocal } from "./local-desired.ts";
import type { ObservedLocal } from "./observed.ts";

type Of<Kind extends LocalCopy["kind"]> = Extract<LocalCopy, { readonly kind: Kind }>;
type Absent = { readonly kind: "absent" };
type Content = Of<"live" | "sealed" | "received">;
type Parted = Extract<ObservedLocal, { readonly kind: "parted" }>;

/**
 * The one of a pool's copies that matters for what is desired. A pool may have several of one
 * dataset: the fallback of an earlier move beside what a later one brings. Whichever descends from
 * the latest claim is the newest; an older one is never taken for it.
 */
export function chooseCopy(
  copies: readonly LocalCopy[],
  want: DesiredLocal,
): LocalCopy | Absent | Parted {
  const foreign = copies.find((one): one is Of<"foreign"> => one.kind === "foreign");
  if (foreign !== undefined) return foreign;
  switch (want.kind) {
    case "receive":
      return parted(copies, want.record, want.move.target) ?? incoming(copies, want.move.id);
    case "seal":
      // What was sealed stands for what it was made of, never for something later beside it.
      return newest(copies, ["live", "sealed", "received"]) ?? remainder(copies);
    case "diverge":
      return (
        parted(copies, want.record, want.node) ??
        stateOf(copies, ["live", "sealed", "diverged"]) ?? { kind: "absent" }
      );
    case "discard":
      return (
        parted(copies, want.record, want.node) ??
        stateOf(copies, ["sealed", "received", "base", "partial", "live"]) ?? { kind: "absent" }
      );
    case "operate":
      return (
        stateOf(copies, ["live", "sealed", "received", "base", "partial"]) ?? { kind: "absent" }
      );
    case "use":
    case "release":
    case "cut":
    case "nothing":
    case "unknown":
      return newest(copies) ?? remainder(copies);
    default:
      return unreachable(want);
  }
}

/**
 * What the record calls diverged and was not put aside yet: that comes before everything that is
 * received, promoted or discarded here, as it would go with it.
 */
function parted(copies: readonly LocalCopy[], record: DatasetRecord, node: NodeId): Parted | null {
  const mine = record.copies.filter((one) => one.node === node);
  const known = mine.filter(({ role }) => role === "diverged");
  const aside = copies.filter(({ kind }) => kind === "diverged");
  if (known.length <= aside.length) return null;
  if (mine.some(({ role }) => role === "live")) return null;
  // Without a fallback what stands there is that one.
  const inPlace = copies.find(({ kind }) => kind === "live" || kind === "sealed");
  if (inPlace !== undefined && "identity" in inPlace && !mine.some(isFallback)) {
    return { kind: "parted", identity: inPlace.identity, received: null };
  }
  // It was never made live, or a person gave up the source of the move that brought it.
  const received = copies.find(
    (one): one is Of<"received"> =>
      one.kind === "received" &&
      one.move !== record.move?.id &&
      known.some(({ generation }) => generation === one.identity.generation),
  );
  if (received === undefined) return null;
  const { identity, move } = received;
  return { kind: "parted", identity, received: move };
}

function isFallback({ role }: Copy): boolean {
  return role === "fallback";
}

/** What this move brought; a live volume, as nothing is received beside one. */
function incoming(copies: readonly LocalCopy[], move: OpId): LocalCopy | Absent {
  const live = stateOf(copies, ["live"]);
  if (live !== null) return live;
  const ours = copies.filter((one) => "move" in one && one.move === move);
  return (
    stateOf(ours, ["received", "partial", "base"]) ??
    stateOf(copies, ["partial"]) ?? { kind: "absent" }
  );
}

function newest(
  copies: readonly LocalCopy[],
  rank: readonly Content["kind"][] = ["live", "received", "sealed"],
): Content | null {
  const contents = copies.filter((one): one is Content => rank.some((kind) => kind === one.kind));
  return (
    contents.sort(
      (a, b) =>
        b.identity.generation - a.identity.generation ||
        rank.indexOf(a.kind) - rank.indexOf(b.kind),
    )[0] ?? null
  );
}

function remainder(copies: readonly LocalCopy[]): LocalCopy | Absent {
  return stateOf(copies, ["diverged", "base", "partial"]) ?? { kind: "absent" };
}

/** The first kind of these that is there. */
function stateOf(
  copies: readonly LocalCopy[],
  kinds: readonly LocalCopy["kind"][],
): LocalCopy | null {
  for (const kind of kinds) {
    const found = copies.find((one) => one.kind === kind);
    if (found !== undefined) return found;
  }
  return null;
}
