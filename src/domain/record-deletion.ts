import { assert, unreachable } from "../lib/assert.ts";
import type { OpId } from "./ids.ts";
import type { DatasetRecord } from "./record.ts";
import { type RecordEvent, type Refusal, refuse } from "./record-event.ts";

type DeletionEvent = Extract<
  RecordEvent,
  { readonly kind: "deletion_asked" | "deletion_advanced" | "restored" | "purge_asked" }
>;

/** From the word of a person to the end of the volume, and back out of the trash. */
export function deletionStep(record: DatasetRecord, event: DeletionEvent): DatasetRecord | Refusal {
  switch (event.kind) {
    case "deletion_asked": {
      if (record.deletion !== null) return refuse("already");
      const { atMs, reclaim } = event;
      return { ...record, deletion: { atMs, reclaim, phase: "deleting" } };
    }
    case "deletion_advanced":
      return deletionAdvanced(record, event.op);
    case "restored":
      return isRestorable(record)
        ? { ...record, metadata: event.metadata, deletion: null }
        : refuse("not_in_trash");
    case "purge_asked":
      return purgeAsked(record);
    default:
      return unreachable(event);
  }
}

/** Deleted, and nothing has begun that cannot be undone: no op is open (ADR 0009). */
export function isRestorable({ deletion, op }: DatasetRecord): boolean {
  return deletion !== null && deletion.phase !== "gone" && op === null;
}

/** The op that destroys the volume has ended; nodes remove what is left of a local one. */
export function destroyed(record: DatasetRecord): DatasetRecord {
  const { deletion } = record;
  assert(deletion !== null, "only a deleted dataset is destroyed");
  return {
    ...record,
    op: null,
    volume: { kind: "gone" },
    deletion: { ...deletion, phase: "gone" },
    copies: record.copies
      .filter(({ role }) => role !== "live")
      .map((one) => (one.role === "diverged" ? one : { ...one, discarding: true })),
  };
}

/** What is kept is to go after all; the op that destroys it follows once nothing is open. */
function purgeAsked(record: DatasetRecord): DatasetRecord | Refusal {
  const { deletion } = record;
  if (deletion?.phase !== "trashed" && deletion?.phase !== "retained") {
    return refuse("not_in_trash");
  }
  return { ...record, deletion: { ...deletion, reclaim: "delete", phase: "deleting" } };
}

function deletionAdvanced(record: DatasetRecord, op: OpId): DatasetRecord | Refusal {
  const { deletion } = record;
  if (deletion?.phase !== "deleting") return refuse("not_deleting");
  if (record.claim !== null) return refuse("claimed");
  if (record.op !== null) return refuse("op_open");
  if (record.move !== null) return refuse("move_open");
  if (record.residue !== null) return refuse("residue");
  switch (deletion.reclaim) {
    case "trash":
      return { ...record, deletion: { ...deletion, phase: "trashed" } };
    case "retain":
      return { ...record, deletion: { ...deletion, phase: "retained" } };
    case "delete":
      return record.volume.kind === "never"
        ? destroyed(record)
        : {
            ...record,
            op: { id: op, kind: "destroy", target: null, executor: null, vanishedAtMs: null },
          };
    default:
      return unreachable(deletion.reclaim);
  }
}
