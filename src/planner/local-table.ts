import { parseVolumeRef } from "../domain/ids.ts";
import type { DatasetRecord } from "../domain/record.ts";
import { label, holdersText } from "./attachable-table.ts";
import { wait, done } from "./decision.ts";
import type { LocalAction, LocalDecision, LocalIdentity, LocalReport } from "./local-action.ts";
import { type DesiredLocal, roleOf } from "./local-desired.ts";
import type { ObservedLocal } from "./observed.ts";

type Want<D extends DesiredLocal["kind"]> = Extract<DesiredLocal, { readonly kind: D }>;
type See<O extends ObservedLocal["kind"]> = Extract<ObservedLocal, { readonly kind: O }>;
type Cell<D extends DesiredLocal["kind"], O extends ObservedLocal["kind"]> = (
  want: Want<D>,
  see: See<O>,
) => LocalDecision;
type Row<D extends DesiredLocal["kind"]> = {
  readonly [O in ObservedLocal["kind"]]: Cell<D, O>;
};
type Table = { readonly [D in DesiredLocal["kind"]]: Row<D> };

type Base = Pick<LocalAction, "datasetId" | "pool" | "generation">;

function base({ datasetId, pool }: DatasetRecord, generation: number | null): Base {
  return { datasetId, pool, generation };
}

function act(action: LocalAction): LocalDecision {
  return { kind: "act", action };
}

function report(what: LocalReport): LocalDecision {
  return { kind: "report", report: what };
}

function identity({ datasetId, lineage }: DatasetRecord, generation: number): LocalIdentity {
  return { datasetId, lineage, generation };
}

type WithRecord = { readonly record: DatasetRecord };

const look = (_: unknown, see: See<"unknown">): LocalDecision =>
  see.busy
    ? wait("BUSY_CHILD", `An earlier child process still works on it: ${see.reason}`)
    : wait("UNKNOWN_OBSERVATION", `Its storage could not be read: ${see.reason}`);

const noPool = ({ record }: WithRecord): LocalDecision =>
  wait(
    "POOL_MISSING",
    `Pool ${record.pool}, on which ${label(record)} lives, is not there. No new one is made in its ` +
      "place; mount its disk.",
  );

const missing = ({ record }: WithRecord, what: string): LocalDecision =>
  wait(
    "VOLUME_MISSING",
    `${label(record)} has no live copy on this node: ${what}. No new one is made in its place.`,
  );

const foreign = ({ record }: WithRecord, see: See<"foreign">): LocalDecision =>
  wait(
    "IDENTITY_MISMATCH",
    `What stands in the place of ${label(record)} is not its data: ${see.detail}. Nothing was ` +
      "mounted or written.",
  );

const diverged = ({ record }: WithRecord, see: See<"diverged">): LocalDecision =>
  wait(
    "CLAIM_CONFLICT",
    `The copy of ${label(record)} on this node diverged at generation ${see.generation}: another ` +
      "copy was made live without it. It is neither used nor removed before a person has looked.",
  );

const held = ({ record }: WithRecord, see: See<"held" | "shown">): LocalDecision =>
  wait("HELD", `${label(record)} is still held by ${holdersText(see.holders)}.`);

function hideOrWait(want: WithRecord, see: See<"shown">, generation: number): LocalDecision {
  return see.holders.length > 0
    ? held(want, see)
    : act({ ...base(want.record, generation), kind: "hide_live" });
}

/** Only a copy that the record calls live is mounted; a first one is, as there is no other. */
function mayBeLive({ record, claim }: Want<"use">): boolean {
  return record.copies.length === 0 || roleOf(record, claim.node) === "live";
}

function notLive(want: Want<"use">): LocalDecision {
  return missing(want, `the record calls the copy here ${roleOf(want.record, want.claim.node)}`);
}

/** The identity fits the record, and nobody used it under a newer claim; null when all is well. */
function misfit(
  { record }: WithRecord,
  see: See<"live" | "sealed">,
  generation: number,
): LocalDecision | null {
  if (see.identity.lineage !== record.lineage) {
    return wait(
      "IDENTITY_MISMATCH",
      `The copy of ${label(record)} descends from another volume (${see.identity.lineage}) than ` +
        "its record. Nothing was mounted.",
    );
  }
  return see.identity.generation > generation
    ? wait(
        "STALE_CLAIM",
        `The copy of ${label(record)} was used under generation ${see.identity.generation}, newer ` +
          `than ${generation}. Nothing was mounted: flocker control recover.`,
      )
    : null;
}

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
          identity: identity(record, 0),
        })
      : missing(want, "the pool does not have it");
  },
  partial: (want) => missing(want, "only the beginning of a copy was received"),
  received: (want, see) => {
    const { record, claim } = want;
    if (roleOf(record, claim.node) !== "live") {
      return missing(want, "it was received, but the move was not committed");
    }
    return see.generation < claim.generation
      ? act({
          ...base(record, claim.generation),
          kind: "promote_received",
          sizeBytes: record.sizeBytes,
        })
      : wait(
          "STALE_CLAIM",
          `The copy of ${label(record)} that was received is of generation ${see.generation}, not ` +
            `older than the claim (${claim.generation}). Nothing was mounted.`,
        );
  },
  live: (want, see) => showOrStop(want, see),
  sealed: (want, see) => {
    const { record, claim } = want;
    if (!mayBeLive(want)) return notLive(want);
    // Whoever sealed it gave its generation away: only the abort's next one opens it again.
    return (
      misfit(want, see, claim.generation - 1) ??
      act({ ...base(record, claim.generation), kind: "reopen_sealed", sizeBytes: record.sizeBytes })
    );
  },
  diverged,
  foreign,
  held,
  shown: () => done,
};

function showOrStop(want: Want<"use">, see: See<"live">): LocalDecision {
  const { record, claim } = want;
  if (!mayBeLive(want)) return notLive(want);
  const wrong = misfit(want, see, claim.generation);
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
  received: released,
  live: released,
  sealed: released,
  diverged: released,
  foreign: released,
  held,
  shown: (want, see) => hideOrWait(want, see, want.claim.generation),
};

const seal: Row<"seal"> = {
  unknown: look,
  pool_missing: noPool,
  absent: (want) => missing(want, "there is nothing to be moved"),
  partial: (want) => missing(want, "only the beginning of a copy was received"),
  received: (want) => missing(want, "a copy was received here, but never made live"),
  live: (want, see) =>
    misfit(want, see, want.move.generation) ??
    act({ ...base(want.record, want.move.generation), kind: "seal_live", move: want.move }),
  sealed: (want, see) =>
    misfit(want, see, want.move.generation) ??
    (want.move.phase === "precopy"
      ? report({ kind: "sealed", move: want.move.id, generation: see.identity.generation })
      : wait(
          "WORKING",
          `${label(want.record)} is sealed and on its way to node ${want.move.target}; nobody mounts ` +
            "it before the control service has committed or aborted the move.",
        )),
  diverged,
  foreign,
  held,
  shown: (want, see) => hideOrWait(want, see, want.move.generation),
};

const receiveIt = ({ record, move }: Want<"receive">): LocalDecision =>
  act({ ...base(record, null), kind: "receive_copy", move });

/** Received beside whatever is here: a base at most, never written to and never replaced. */
const receive: Row<"receive"> = {
  unknown: look,
  pool_missing: noPool,
  absent: receiveIt,
  // While a stream comes in no look is made: what is seen is the remainder of a broken one.
  partial: ({ record }) => act({ ...base(record, null), kind: "discard_partial" }),
  received: (want, see) => {
    const { record, move } = want;
    if (see.generation < move.generation) return receiveIt(want);
    return see.generation === move.generation
      ? report({ kind: "received", move: move.id })
      : wait(
          "STALE_CLAIM",
          `Node ${move.target} already has a copy of ${label(record)} of generation ` +
            `${see.generation}, newer than the one that is moved (${move.generation}).`,
        );
  },
  live: ({ record }) =>
    wait(
      "CLAIM_CONFLICT",
      `${label(record)} is to be received on a node that has a live copy of it; that one is not ` +
        "replaced.",
    ),
  sealed: receiveIt,
  diverged,
  foreign,
  held,
  shown: held,
};

function discardOrStop(want: Want<"discard">, generation: number): LocalDecision {
  const { record, copy } = want;
  const spare = copy.role === "fallback" || copy.role === "replica";
  return spare && generation <= copy.generation
    ? act({ ...base(record, null), kind: "discard_copy" })
    : wait(
        "CLAIM_CONFLICT",
        `The copy of ${label(record)} here is of generation ${generation}; the record calls it ` +
          `${copy.role} of generation ${copy.generation}. It is not removed before a person looked.`,
      );
}

const discard: Row<"discard"> = {
  unknown: look,
  pool_missing: noPool,
  absent: () => report({ kind: "discarded" }),
  partial: ({ record }) => act({ ...base(record, null), kind: "discard_partial" }),
  received: (want, see) => discardOrStop(want, see.generation),
  live: (want) =>
    wait(
      "CLAIM_CONFLICT",
      `The copy of ${label(want.record)} here is live; only the operation that destroys the ` +
        "dataset removes it.",
    ),
  sealed: (want, see) => discardOrStop(want, see.identity.generation),
  diverged,
  foreign,
  held,
  shown: held,
};

const cleared: LocalDecision = report({ kind: "cleared" });
const isCleared = (): LocalDecision => cleared;
const stop = ({ record }: WithRecord): LocalDecision =>
  act({ ...base(record, null), kind: "stop_access" });

/** After a reboot: nothing of a local volume is anywhere else, so there is little to clear. */
const clean: Row<"clean"> = {
  unknown: look,
  pool_missing: isCleared,
  absent: isCleared,
  partial: isCleared,
  received: isCleared,
  live: isCleared,
  sealed: isCleared,
  diverged: isCleared,
  foreign: isCleared,
  held,
  shown: stop,
};

const cutDone: LocalDecision = report({ kind: "cut_done" });
const isCut = (): LocalDecision => cutDone;

/** Superseded: nobody writes here any more; what was written stays, for a person to look at. */
const cut: Row<"cut"> = {
  unknown: look,
  pool_missing: isCut,
  absent: isCut,
  partial: isCut,
  received: isCut,
  live: isCut,
  sealed: isCut,
  diverged: isCut,
  foreign: isCut,
  held: stop,
  shown: stop,
};

const destroy = ({ record, op }: Want<"operate">): LocalDecision =>
  act({ ...base(record, null), kind: "destroy_copies", op: op.id });

const operate: Row<"operate"> = {
  unknown: look,
  pool_missing: noPool,
  absent: ({ op }) => report({ kind: "op_done", op: op.id }),
  partial: ({ record }) => act({ ...base(record, null), kind: "discard_partial" }),
  received: destroy,
  live: destroy,
  sealed: destroy,
  diverged,
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
  received: idle,
  live: idle,
  sealed: idle,
  diverged: idle,
  foreign: idle,
  held: idle,
  shown: idle,
};

/** One step for each desired × observed pair of a local pool; a missing cell does not compile. */
export const localTable: Table = {
  use,
  release,
  seal,
  receive,
  discard,
  clean,
  cut,
  operate,
  nothing,
  unknown: nothing,
};

/** Looks the pair up in the total table. Pure: equal arguments, equal decision. */
export function decideLocal(want: DesiredLocal, see: ObservedLocal): LocalDecision {
  // The table is total by type; a key alone does not narrow it to the one cell that fits.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  const cell = localTable[want.kind][see.kind] as (
    want: DesiredLocal,
    see: ObservedLocal,
  ) => LocalDecision;
  return cell(want, see);
}
