import { unreachable } from "../lib/assert.ts";
import { blockFileSystem, type DatasetRecord } from "../domain/record.ts";
import type { Volume } from "../domain/volume.ts";
import { base, decideBy, held, identity, label, look } from "./cells.ts";
import { act, type Decision, done, report, wait } from "./decision.ts";
import type { Desired } from "./desired.ts";
import type { ObservedAttachable } from "./observed.ts";

type Want<D extends Desired["kind"]> = Extract<Desired, { readonly kind: D }>;
type See<O extends ObservedAttachable["kind"]> = Extract<ObservedAttachable, { readonly kind: O }>;
type Cell<D extends Desired["kind"], O extends ObservedAttachable["kind"]> = (
  want: Want<D>,
  see: See<O>,
) => Decision;
type Row<D extends Desired["kind"]> = {
  readonly [O in ObservedAttachable["kind"]]: Cell<D, O>;
};
type Table = { readonly [D in Desired["kind"]]: Row<D> };

const duplicates = (see: See<"duplicate">): Decision =>
  wait(
    "DUPLICATE_VOLUME",
    `The storage has ${see.volumes.length} volumes with this dataset's label ` +
      `(${see.volumes.map(({ ref }) => ref).join(", ")}); none is used or deleted. Remove all but ` +
      "the right one from the storage.",
  );

function detach(
  record: DatasetRecord,
  generation: number | null,
  see: See<"stale" | "blank" | "partial" | "ready" | "foreign">,
): Decision {
  return act({
    ...base(record, generation),
    kind: "detach_volume",
    ref: see.volume.ref,
    device: see.kind === "stale" ? null : see.device,
  });
}

function missing(record: DatasetRecord): Decision {
  return wait(
    "VOLUME_MISSING",
    `The volume of ${label(record)} exists (its reference is registered) but the storage of ` +
      `pool ${record.pool} does not show it. No new one is made in its place; bring the ` +
      "storage back.",
  );
}

/**
 * An attachment of a volume that the storage does not show may still stand: not seen is no proof
 * that it was given back. Whoever deletes the dataset has given the volume up.
 */
function unseen(record: DatasetRecord, otherwise: Decision): Decision {
  return record.volume.kind === "exists" && record.deletion === null ? missing(record) : otherwise;
}

/** Which volume may be used: the registered one, or the one that our own create op made. */
function usable({ record }: Want<"use">, volume: Volume): Decision | null {
  switch (record.volume.kind) {
    case "exists":
      return null; // Observation looks for the registered reference alone.
    case "creating":
      return (
        strange(record, volume) ??
        report({
          kind: "volume_created",
          op: volume.op,
          ref: volume.ref,
          sizeBytes: volume.sizeBytes,
        })
      );
    case "never":
    case "gone":
      return wait(
        "VOLUME_MISSING",
        `${label(record)} has no volume that may be used: the control service's store is older than ` +
          "this claim: flocker control recover.",
      );
    default:
      return unreachable(record.volume);
  }
}

/** Before any volume is registered: not what the record's own create op made. */
function strange(record: DatasetRecord, volume: Volume): Decision | null {
  return record.volume.kind === "creating" && volume.op !== record.volume.op
    ? wait(
        "DUPLICATE_VOLUME",
        `The storage already has volume ${volume.ref} for ${label(record)}, which this cluster did ` +
          "not ask for; it is neither used nor deleted. Remove it from the storage, or its label.",
      )
    : null;
}

const use: Row<"use"> = {
  unknown: look,
  absent: ({ record, claim }) =>
    record.volume.kind === "creating"
      ? act({
          ...base(record, claim.generation),
          kind: "create_volume",
          op: record.volume.op,
          sizeBytes: record.sizeBytes,
        })
      : missing(record),
  duplicate: (_, see) => duplicates(see),
  detached: (want, see) =>
    usable(want, see.volume) ??
    act({
      ...base(want.record, want.claim.generation),
      kind: "attach_volume",
      ref: see.volume.ref,
      claimed: want.claim.generation,
    }),
  elsewhere: (want, see) =>
    usable(want, see.volume) ??
    wait(
      "ATTACHED_ELSEWHERE",
      `The storage shows ${label(want.record)} attached to node ${see.node}; it is never taken ` +
        `from a node. If that node is gone for good: flockerctl node declare-dead ${see.node}`,
    ),
  stale: (want, see) =>
    usable(want, see.volume) ??
    act({
      ...base(want.record, want.claim.generation),
      kind: "attach_volume",
      ref: see.volume.ref,
      claimed: want.claim.generation,
    }),
  blank: (want, see) => formatOrStop(want, see),
  partial: (want, see) => formatOrStop(want, see),
  ready: (want, see) => mountOrStop(want, see),
  foreign: ({ record }, see) =>
    wait(
      "IDENTITY_MISMATCH",
      `The volume of ${label(record)} does not hold its data: ${see.detail}. Nothing was mounted ` +
        "or written. Put the right one back.",
    ),
  // Somebody of this node still has the device of an earlier mount: nothing is built beside that.
  held,
  mounted: ({ record, claim }) => act({ ...base(record, claim.generation), kind: "show_volume" }),
  shown: () => done,
};

function formatOrStop(want: Want<"use">, see: See<"blank" | "partial">): Decision {
  const { record, claim } = want;
  if (record.formatted === "yes") {
    return wait(
      "VOLUME_LOST_CONTENT",
      `The volume of ${label(record)} was formatted and used, but its device has no file system ` +
        "now. Nothing was formatted or mounted; restore its content from a backup.",
    );
  }
  return (
    usable(want, see.volume) ??
    act({
      ...base(record, claim.generation),
      kind: "format_volume",
      device: see.device,
      identity: identity(record, 0),
      fileSystem: blockFileSystem(record),
    })
  );
}

function mountOrStop(want: Want<"use">, see: See<"ready">): Decision {
  const { record, claim } = want;
  const { lineage, generation } = see.identity;
  // Only a store that went back has forgotten what was used, and under which claim it was made.
  const forgotten = record.formatted === "no" && generation > 0;
  if (lineage !== record.lineage && !forgotten) {
    return wait(
      "IDENTITY_MISMATCH",
      `The volume of ${label(record)} descends from another mkfs (${lineage}) than ` +
        "its record. Nothing was mounted. Put the right one back.",
    );
  }
  if (generation > claim.generation) {
    return wait(
      "STALE_CLAIM",
      `The volume of ${label(record)} was used under generation ${generation}, newer ` +
        `than this node's claim (${claim.generation}). Nothing was mounted; the control ` +
        "service's store is older than the data: flocker control recover.",
    );
  }
  const unready = usable(want, see.volume);
  if (unready !== null) return unready;
  if (record.formatted === "no") {
    const other = lineage === record.lineage ? {} : { lineage };
    return report({ kind: "formatted", generation: claim.generation, ...other });
  }
  return act({
    ...base(record, claim.generation),
    kind: "mount_volume",
    device: see.device,
    identity: identity(record, claim.generation),
    fileSystem: blockFileSystem(record),
  });
}

const releasedReport = ({ claim }: Want<"release">): Decision =>
  report({ kind: "released", generation: claim.generation });

const release: Row<"release"> = {
  unknown: look,
  absent: (want) => unseen(want.record, releasedReport(want)),
  duplicate: releasedReport,
  detached: releasedReport,
  elsewhere: releasedReport,
  stale: ({ record, claim }, see) => detach(record, claim.generation, see),
  blank: ({ record, claim }, see) => detach(record, claim.generation, see),
  partial: ({ record, claim }, see) => detach(record, claim.generation, see),
  ready: ({ record, claim }, see) => detach(record, claim.generation, see),
  foreign: ({ record, claim }, see) => detach(record, claim.generation, see),
  held,
  mounted: ({ record, claim }) =>
    act({ ...base(record, claim.generation), kind: "unmount_volume" }),
  shown: (want, see) =>
    see.holders.length > 0
      ? held(want, see)
      : act({ ...base(want.record, want.claim.generation), kind: "hide_volume" }),
};

const cleared: Decision = report({ kind: "cleared" });

/**
 * A claim of ours ended without a release. After a reboot nothing is mounted; what is mounted all
 * the same has no claim behind it, and is cut as a superseded node's is: nothing is flushed.
 */
const clean: Row<"clean"> = {
  unknown: look,
  absent: ({ record }) => unseen(record, cleared),
  duplicate: () => cleared,
  detached: () => cleared,
  elsewhere: () => cleared,
  stale: ({ record }, see) => detach(record, null, see),
  blank: ({ record }, see) => detach(record, null, see),
  partial: ({ record }, see) => detach(record, null, see),
  ready: ({ record }, see) => detach(record, null, see),
  foreign: ({ record }, see) => detach(record, null, see),
  held,
  mounted: ({ record }) => act({ ...base(record, null), kind: "cut_access" }),
  shown: ({ record }) => act({ ...base(record, null), kind: "cut_access" }),
};

const cutDone: Decision = report({ kind: "cut_done" });

/** Superseded: never a clean unmount, never a call of the backend that changes anything. */
const cut: Row<"cut"> = {
  // Also when it could not look: whoever hangs on the volume may still write to it.
  unknown: ({ record }) => act({ ...base(record, null), kind: "cut_access" }),
  absent: () => cutDone,
  duplicate: () => cutDone,
  detached: () => cutDone,
  elsewhere: () => cutDone,
  stale: () => cutDone,
  blank: () => cutDone,
  partial: () => cutDone,
  ready: () => cutDone,
  foreign: () => cutDone,
  held: ({ record }) => act({ ...base(record, null), kind: "cut_access" }),
  mounted: ({ record }) => act({ ...base(record, null), kind: "cut_access" }),
  shown: ({ record }) => act({ ...base(record, null), kind: "cut_access" }),
};

const opDone = ({ op }: Want<"operate">): Decision => report({ kind: "op_done", op: op.id });

/** An op ends when a fresh direct look shows its end, not when a call returned. */
const operate: Row<"operate"> = {
  unknown: look,
  absent: (want) => (want.op.kind === "destroy" ? opDone(want) : unseen(want.record, opDone(want))),
  duplicate: (_, see) => duplicates(see),
  detached: (want, see) =>
    want.op.kind === "force_detach"
      ? opDone(want)
      : (strange(want.record, see.volume) ??
        act({
          ...base(want.record, null),
          kind: "destroy_volume",
          ref: see.volume.ref,
          op: want.op.id,
        })),
  elsewhere: (want, see) =>
    want.op.kind === "destroy"
      ? wait(
          "ATTACHED_ELSEWHERE",
          `${label(want.record)} cannot be destroyed: the storage shows it attached to node ` +
            `${see.node}. If that node is gone for good: flockerctl node declare-dead ${see.node}`,
        )
      : see.node === want.op.target && !isLater(want, see.volume)
        ? act({
            ...base(want.record, null),
            kind: "force_detach",
            ref: see.volume.ref,
            target: see.node,
            op: want.op.id,
          })
        : opDone(want),
  stale: (want, see) => ownAttachment(want, see),
  blank: (want, see) => ownAttachment(want, see),
  partial: (want, see) => ownAttachment(want, see),
  ready: (want, see) => ownAttachment(want, see),
  foreign: (want, see) => ownAttachment(want, see),
  held,
  mounted: ({ record }) => wait("HELD", `${label(record)} is still mounted on this node.`),
  shown: held,
};

/** The target got it back since: the op is over, and only this node has not heard of it. */
function isLater({ record }: Want<"operate">, { attachedTo }: Volume): boolean {
  return attachedTo !== null && attachedTo.generation > record.generation;
}

function ownAttachment(
  want: Want<"operate">,
  see: See<"stale" | "blank" | "partial" | "ready" | "foreign">,
): Decision {
  return want.op.kind === "destroy" ? detach(want.record, null, see) : opDone(want);
}

const idle = (): Decision => done;

/** No claim and nothing to clean: what is attached here is left as it is. */
const nothing: Row<"nothing"> & Row<"unknown"> = {
  unknown: idle,
  absent: idle,
  duplicate: idle,
  detached: idle,
  elsewhere: idle,
  stale: idle,
  blank: idle,
  partial: idle,
  ready: idle,
  foreign: idle,
  held: idle,
  mounted: idle,
  shown: idle,
};

/** One step for each desired × observed pair. A new state does not compile without its cells. */
export const attachableTable: Table = {
  use,
  release,
  clean,
  cut,
  operate,
  nothing,
  unknown: nothing,
};

/** Looks the pair up in the total table. Pure: equal arguments, equal decision. */
export function decideAttachable(want: Desired, see: ObservedAttachable): Decision {
  return decideBy(attachableTable, want, see);
}
