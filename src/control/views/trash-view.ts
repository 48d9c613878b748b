import { type DatasetRecord, nameOf } from "../../domain/record.ts";
import type { TrashView } from "../../protocol/api.ts";
import type { CoreState } from "../core/core-state.ts";
import { purgedAtMs } from "../core/kept.ts";
import { instant } from "./condition-view.ts";

/** Deleted, but its volume is still there: in the trash, or retained. */
export function isKept({ deletion }: DatasetRecord): boolean {
  return deletion?.phase === "trashed" || deletion?.phase === "retained";
}

export function trashView(state: CoreState, record: DatasetRecord, nowMs: number): TrashView {
  const { datasetId, deletion, volume, primary, pool } = record;
  const trashed = deletion?.phase === "trashed";
  return {
    dataset_id: datasetId,
    name: nameOf(record),
    size: volume.kind === "exists" ? volume.sizeBytes : record.sizeBytes,
    pool,
    primary,
    phase: trashed ? "trashed" : "retained",
    deleted: instant(deletion?.atMs ?? nowMs),
    purged: trashed ? instant(purgedAtMs(state, record, nowMs)) : null,
  };
}
