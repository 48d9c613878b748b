import { parseVolumeRef } from "../domain/ids.ts";
import type { StreamStage } from "../domain/local-copy.ts";
import {
  base,
  type Base,
  decideBy,
  held,
  identity,
  label,
  look,
  type WithRecord,
} from "./cells.ts";
import { done, report, wait } from "./decision.ts";
import type { LocalDecision } from "./local-action.ts";
import {
  act,
  diverged,
  foreign,
  hideOrWait,
  misfit,
  missing,
  noPool,
  type Row,
  type See,
  type Want,
} from "./local-cells.ts";
import { copyOf, type DesiredLocal, roleOf } from "./local-desired.ts";
import type { ObservedLocal } from "./observed.ts";

/** Only a copy that the record calls live is mounted; a first one is, as there is no other. */
function mayBeLive({ record, claim }: Want<"use">): boolean {
  return record.copies.length === 0 || roleOf(record, claim.node) === "live";
}

function notLive(want: Want<"use">): LocalDecision {
  return missing(want, `the record calls the copy here ${roleOf(want.record, want.claim.node)}`);
}

function spanOf({ record, claim }: Want<"use">, to: number): { from: number; to: number } {
  return { from: copyOf(record, claim.node)?.generation ?? 0, to };
}

const discardPartial = ({ record }: WithRecord): LocalDecision =>
  act({ ...base(record, null), kind: "discard_partial", except: record.move?.id ?? null });

const use: Row<"use"> = {
  unknown: look,
  pool_missing: noPool,
  absent: (want) => {
    const { record, claim } = want;
    // Created once, and only while no node was ever said to have a copy: never an empty one.
    return record.volume.kind === "creating" && record.copies.length === 0
      ? act({
          ...base(record, claim.generation),
          kind: "create_live",
          op: record.volume.op,
          sizeBytes: record.sizeBytes,
          identity: identity(record, 0),
          from: record.from?.datasetId ?? null,
        })
      : missing(want, "the pool does not have it");
  },
  partial: (want) => missing(want, "only the beginning of a copy was received"),
  base: (want) => missing(want, "only the bulk of a copy was received"),
  received: (want, see) => {
    const { record, claim } = want;
    if (roleOf(record, claim.node) !== "live") {
      return missing(want, "it was received, but the move was not committed");
    }
    return (
      misfit(want, see.identity, spanOf(want, claim.generation - 1)) ??
      act({
        ...base(record, claim.generation),
        kind: "promote_received",
        move: see.move,
        sizeBytes: record.sizeBytes,
      })
    );
  },
  live: (want, see) => showOrStop(want, see),
  sealed: (want, see) => {
    const { record, claim } = want;
    if (!mayBeLive(want)) return notLive(want);
    // Whoever sealed it gave its generation away: only the abort's next one opens it again.
    return (
      misfit(want, see.identity, spanOf(want, claim.generation - 1)) ??
      act({ ...base(record, claim.generation), kind: "reopen_sealed", sizeBytes: record.sizeBytes })
    );
  },
  diverged,
  parted: diverged,
  foreign,
  held,
  shown: () => done,
};

function showOrStop(want: Want<"use">, see: See<"live">): LocalDecision {
  const { record, claim } = want;
  if (!mayBeLive(want)) return notLive(want);
  const wrong = misfit(want, see.identity, spanOf(want, claim.generation));
  if (wrong !== null) return wrong;
  const { volume } = record;
  if (volume.kind === "creating") {
    return report({
      kind: "volume_created",
      op: volume.op,
      ref: parseVolumeRef(record.datasetId), // A dataset has one volume in a pool of this kind.
      sizeBytes: record.sizeBytes,
    });
  }
  if (volume.kind !== "exists") return missing(want, "the record knows of no volume");
  if (record.formatted === "no") return report({ kind: "formatted", generation: claim.generation });
  if (copyOf(record, claim.node)?.settled === false) return report({ kind: "settled" });
  return act({
    ...base(record, claim.generation),
    kind: "show_live",
    identity: identity(record, claim.generation),
  });
}

const released = ({ claim }: Want<"release">): LocalDecision =>
  report({ kind: "released", generation: claim.generation });

/** Giving back without a move: the copy stays where it is, hidden and synced. */
const release: Row<"release"> = {
  unknown: look,
  pool_missing: noPool, // Whether what was written is durable cannot be proved.
  absent: released,
  partial: released,
  base: released,
  received: released,
  live: released,
  sealed: released,
  diverged: released,
  parted: released,
  foreign: released,
  held,
  shown: (want, see) => hideOrWait(want, see, want.claim.generation),
};

/** The claim that the seal ends is the executor's to check; without one nobody holds it. */
function sealBase({ record }: WithRecord): Base {
  return base(record, record.claim?.generation ?? null);
}

const sealSpan = ({ record, move }: Want<"seal">): { from: number; to: number } => ({
  from: move.generation,
  to: record.generation,
});

const seal: Row<"seal"> = {
  unknown: look,
  pool_missing: noPool,
  absent: (want) => missing(want, "there is nothing to be moved"),
  partial: (want) => missing(want, "only the beginning of a copy was received"),
  base: (want) => missing(want, "only the bulk of a copy was received"),
  // The last move brought it here, and nobody used it since: it is made live, then sealed.
  received: (want, see) => {
    if (want.move.phase === "sealed") return missing(want, "what was sealed is not there any more");
    return (
      misfit(want, see.identity, sealSpan(want)) ??
      act({
        ...sealBase(want),
        kind: "promote_received",
        move: see.move,
        sizeBytes: want.record.sizeBytes,
      })
    );
  },
  live: (want, see) =>
    misfit(want, see.identity, sealSpan(want)) ??
    (want.move.phase === "precopy"
      ? done
      : act({ ...sealBase(want), kind: "seal_live", move: want.move.id })),
  sealed: (want, see) => sealedForMove(want, see),
  diverged,
  parted: diverged,
  foreign,
  held,
  shown: (want, see) =>
    see.holders.length > 0 ? held(want, see) : act({ ...sealBase(want), kind: "hide_live" }),
};

function sealedForMove(want: Want<"seal">, see: See<"sealed">): LocalDecision {
  const { record, move } = want;
  const wrong = misfit(want, see.identity, sealSpan(want));
  if (wrong !== null) return wrong;
  if (move.phase === "precopy") return done;
  // Sealed for a move that was aborted, or written to since through an open file: sealed anew.
  if (see.move !== move.id || see.changed)
    return act({ ...sealBase(want), kind: "seal_live", move: move.id });
  return move.phase === "sealed"
    ? wait(
        "WORKING",
        `${label(record)} is sealed and on its way to node ${move.target}; nobody mounts it ` +
          "before the control service has committed or aborted the move.",
      )
    : report({ kind: "sealed", move: move.id, generation: see.identity.generation });
}

function receiveStage({ record, move }: Want<"receive">, stage: StreamStage): LocalDecision {
  return act({ ...base(record, null), kind: "receive_copy", move, stage });
}

/** The bulk first, while the source may be in use; the rest once it is sealed. */
const nextStage = (want: Want<"receive">): LocalDecision =>
  receiveStage(want, want.move.phase === "precopy" ? "base" : "delta");

const divergeIt = ({ record }: WithRecord): LocalDecision =>
  act({ ...base(record, null), kind: "diverge_live", received: null });

const putAside = ({ record }: WithRecord, { received }: See<"parted">): LocalDecision =>
  act({ ...base(record, null), kind: "diverge_live", received });

/** Received beside whatever is here: a base at most, never written to and never replaced. */
const receive: Row<"receive"> = {
  unknown: look,
  pool_missing: noPool,
  absent: nextStage,
  // While a stream comes in no look is made: what is seen is the remainder of a broken one. That of
  // this move is replaced by the next try, which goes on from its base.
  partial: (want, see) => (see.move === want.move.id ? nextStage(want) : discardPartial(want)),
  base: (want) => {
    const { record, move } = want;
    if (move.phase === "precopy") return report({ kind: "copied", move: move.id });
    if (move.phase === "sealed") return receiveStage(want, "delta");
    return wait(
      "WAITING_FOR_RELEASE",
      `The bulk of ${label(record)} is here; the rest follows once node ${move.source} has given ` +
        "it back.",
    );
  },
  received: ({ move }) => report({ kind: "received", move: move.id }),
  // Not what the record calls live: kept for a person, as nothing is received over it.
  live: divergeIt,
  sealed: nextStage,
  diverged: nextStage,
  parted: putAside,
  foreign,
  held,
  shown: held,
};

const discardIt = ({ record }: WithRecord): LocalDecision =>
  act({ ...base(record, null), kind: "discard_copy" });
const discarded = (): LocalDecision => report({ kind: "discarded" });

/** Only what is spare goes: the newest of what is known stays where the record calls it live. */
const discard: Row<"discard"> = {
  unknown: look,
  pool_missing: noPool,
  absent: discarded,
  partial: discardIt,
  base: discardIt,
  received: discardIt,
  sealed: discardIt,
  live: (want) => {
    const { record } = want;
    return wait(
      "CLAIM_CONFLICT",
      `The copy of ${label(record)} here is live, but the record knows it as spare. It is not ` +
        "removed before a person has looked: flockerctl copies ls.",
    );
  },
  diverged: discarded,
  parted: putAside,
  foreign,
  held,
  shown: held,
};

/** The record went on with another copy; what stands here is kept, and never shown. */
const diverge: Row<"diverge"> = {
  unknown: look,
  pool_missing: noPool,
  absent: () => done,
  partial: discardPartial,
  base: () => done,
  received: () => done,
  live: divergeIt,
  sealed: divergeIt,
  diverged: () => done,
  parted: putAside,
  foreign,
  held,
  shown: (want) => act({ ...base(want.record, null), kind: "stop_access" }),
};

const stop = ({ record }: WithRecord): LocalDecision =>
  act({ ...base(record, null), kind: "stop_access" });

const cutDone: LocalDecision = report({ kind: "cut_done" });
const isCut = (): LocalDecision => cutDone;

/** Superseded: nobody writes here any more; what was written stays, for a person to look at. */
const cut: Row<"cut"> = {
  unknown: look,
  pool_missing: isCut,
  absent: isCut,
  partial: isCut,
  base: isCut,
  received: isCut,
  live: isCut,
  sealed: isCut,
  diverged: isCut,
  parted: isCut,
  foreign: isCut,
  held: stop,
  shown: stop,
};

/** A newer generation than the record's: somebody used it who is not known of. */
const destroy = (want: Want<"operate">, see: See<"live" | "sealed" | "received">): LocalDecision =>
  misfit(want, see.identity, { from: 0, to: want.record.generation }) ?? destroyRest(want);

const destroyRest = ({ record, op }: Want<"operate">): LocalDecision =>
  act({ ...base(record, null), kind: "destroy_copies", op: op.id });

const operate: Row<"operate"> = {
  unknown: look,
  pool_missing: noPool,
  absent: ({ op }) => report({ kind: "op_done", op: op.id }),
  partial: destroyRest,
  base: destroyRest,
  received: destroy,
  live: destroy,
  sealed: destroy,
  diverged,
  parted: diverged,
  foreign,
  held,
  shown: held,
};

const idle = (): LocalDecision => done;

const nothing: Row<"nothing"> & Row<"unknown"> = {
  unknown: idle,
  pool_missing: idle,
  absent: idle,
  partial: idle,
  base: idle,
  received: idle,
  live: idle,
  sealed: idle,
  diverged: idle,
  parted: idle,
  foreign: idle,
  held: idle,
  shown: idle,
};

type Table = { readonly [D in DesiredLocal["kind"]]: Row<D> };

/** One step for each desired × observed pair of a local pool; a missing cell does not compile. */
export const localTable: Table = {
  use,
  release,
  seal,
  receive,
  discard,
  diverge,
  cut,
  operate,
  nothing,
  unknown: nothing,
};

/** Looks the pair up in the total table. Pure: equal arguments, equal decision. */
export function decideLocal(want: DesiredLocal, see: ObservedLocal): LocalDecision {
  return decideBy(localTable, want, see);
}
