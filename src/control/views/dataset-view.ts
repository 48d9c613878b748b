import { type Condition, conditionCodes } from "../../domain/condition.ts";
import { type DatasetRecord, nameOf } from "../../domain/record.ts";
import type { CopyView, DatasetView, MoveView } from "../../protocol/api.ts";
import { datasetCondition, holderObservation } from "../conditions/dataset-condition.ts";
import type { CoreState } from "../core/core-state.ts";
import { wantedBy } from "../core/moves.ts";
import { progressOf, remainingMsOf } from "../conditions/local-condition.ts";
import { type ConditionTimes, conditionView, instant } from "./condition-view.ts";

/** All that is known of one dataset: configuration, claim, volume, what its holder sees, why. */
export function datasetView(
  state: CoreState,
  record: DatasetRecord,
  times: ConditionTimes,
  nowMs: number,
): DatasetView {
  const { claim, volume, op, datasetId } = record;
  const condition = datasetCondition(state, record, nowMs);
  const seen = holderObservation(state, record);
  const containers = claim === null ? undefined : state.sessionOf(claim.node)?.containers;
  return {
    dataset_id: datasetId,
    name: nameOf(record),
    metadata: { ...record.metadata },
    primary: record.primary,
    maximum_size: record.maximumSizeBytes,
    size: volume.kind === "exists" ? volume.sizeBytes : record.sizeBytes,
    pool: record.pool,
    fs: record.fileSystem ?? "native",
    reclaim: record.reclaim,
    deleted: record.deletion !== null,
    phase: phaseOf(state, record, condition, nowMs),
    node: claim?.node ?? null,
    path: seen?.shown === true ? seen.path : null,
    claim:
      claim === null
        ? null
        : { node: claim.node, generation: claim.generation, phase: claim.phase },
    volume: { kind: volume.kind, ref: volume.kind === "exists" ? volume.ref : null },
    formatted: record.formatted === "yes",
    op: op === null ? null : { id: op.id, kind: op.kind, node: op.executor?.node ?? null },
    move: moveView(state, record, nowMs),
    copies: copyViews(record),
    from:
      record.from === null ? null : { dataset_id: record.from.datasetId, node: record.from.node },
    users: (seen?.users ?? []).map(({ id, container }) => ({
      id,
      container: container === null ? null : (containers?.get(container)?.name ?? container),
    })),
    notice: record.notice,
    condition: conditionView(condition, times.note(datasetId, condition, nowMs)),
    revision: record.revision,
  };
}

export function copyViews({ copies }: DatasetRecord): CopyView[] {
  return copies.map(({ sinceMs, ...copy }) => ({ ...copy, since: instant(sinceMs) }));
}

function moveView(state: CoreState, record: DatasetRecord, nowMs: number): MoveView | null {
  const { move } = record;
  if (move === null) return null;
  const { id, source, target, phase, openedAtMs } = move;
  const progress = progressOf(state, record);
  const remainingMs = progress === null ? null : remainingMsOf(progress);
  return {
    id,
    source,
    target,
    phase,
    since: instant(openedAtMs),
    progress:
      progress === null
        ? null
        : {
            stage: progress.stage,
            bytes: progress.bytes,
            total: progress.totalBytes,
            bytes_per_second: Math.round(progress.bytesPerSecond),
            ends: remainingMs === null ? null : instant(nowMs + remainingMs),
          },
  };
}

function phaseOf(
  state: CoreState,
  record: DatasetRecord,
  condition: Condition | null,
  nowMs: number,
): DatasetView["phase"] {
  if (record.deletion !== null) {
    return record.deletion.phase === "deleting" ? "deleting" : "trashed";
  }
  const severity = condition === null ? "warning" : conditionCodes[condition.code];
  if (severity === "error") return "error";
  if (isMoving(state, record, nowMs)) return "moving";
  if (severity === "pending") return "pending";
  return isAttached(state, record) ? "attached" : "detached";
}

/** A live session of the node that holds the claim says that containers can see it. */
export function isAttached(state: CoreState, record: DatasetRecord): boolean {
  return holderObservation(state, record)?.shown === true;
}

/** It has been somewhere and somebody else is to have it now. */
function isMoving(state: CoreState, record: DatasetRecord, nowMs: number): boolean {
  if (record.move !== null) return true;
  if (record.generation === 0) return false;
  if (record.claim !== null) return wantedBy(state, record, nowMs) !== null;
  return record.orderOpen;
}
