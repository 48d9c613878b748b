import { type Condition, condition } from "../../domain/condition.ts";
import { type DatasetRecord, liveCopy, type Move } from "../../domain/record.ts";
import { unreachable } from "../../lib/assert.ts";
import type { Progress } from "../../protocol/agent-messages.ts";
import type { CoreState } from "../core/core-state.ts";
import { wantedBy } from "../core/moves.ts";
import {
  ageText,
  capital,
  fallbacksBut,
  heldText,
  nodeText,
  noPool,
  observationOf,
  silent,
  withoutText,
} from "./condition-parts.ts";

/** Where a move is, and whom it waits for. */
export function moveCondition(
  state: CoreState,
  record: DatasetRecord,
  move: Move,
  nowMs: number,
): Condition {
  const { source, target, phase } = move;
  if (state.sessionOf(source) === null) {
    const left = withoutText(state, record, source, nowMs);
    const gone = silent(state, source, "sends the dataset and");
    return { ...gone, message: `${gone.message} (${left}).` };
  }
  const receiver = state.sessionOf(target);
  if (receiver === null) return silentTarget(state, record, move);
  const poolless = noPool(state, receiver, record);
  if (poolless !== null) return poolless;
  switch (phase) {
    case "precopy":
      return said(state, record, source) ?? said(state, record, target) ?? precopy(state, record);
    case "copied":
      return said(state, record, source) ?? copied(state, record, move, nowMs);
    case "sealed":
      return said(state, record, target) ?? sealed(state, record, move);
    default:
      return unreachable(phase);
  }
}

/** What a node says of itself, unless it is only that it works. */
function said(state: CoreState, record: DatasetRecord, node: Move["source"]): Condition | null {
  const found = observationOf(state, node, record)?.condition ?? null;
  return found?.code === "WORKING" || found?.code === "WAITING_FOR_RELEASE" ? null : found;
}

function silentTarget(state: CoreState, record: DatasetRecord, move: Move): Condition {
  const { source, target, phase } = move;
  if (phase !== "sealed") return silent(state, target, "is to have the dataset and");
  return condition(
    "WAITING_FOR_NODE",
    `The dataset is sealed on ${nodeText(state, source)} for ${nodeText(state, target)}, which is ` +
      "not connected; nobody mounts it meanwhile. Start it, or go on where the data is: " +
      `flockerctl move -d ${record.datasetId} -t ${source}`,
  );
}

function precopy(state: CoreState, record: DatasetRecord): Condition {
  const { move, claim } = record;
  const source = move === null ? record.primary : move.source;
  const use = claim === null ? "nobody has it meanwhile" : "it stays in use there meanwhile";
  return condition(
    "WORKING",
    `The bulk goes from ${nodeText(state, source)} to ${targetText(state, record)}` +
      `${progressText(progressOf(state, record))}; ${use}.`,
  );
}

function copied(
  state: CoreState,
  record: DatasetRecord,
  { source, target }: Move,
  nowMs: number,
): Condition {
  const session = state.sessionOf(source);
  const bulk = `The bulk is on ${nodeText(state, target)} already.`;
  if (record.claim === null || record.claim.phase === "releasing" || session === null) {
    return condition("WORKING", `${capital(nodeText(state, source))} seals the dataset. ${bulk}`);
  }
  if (wantedBy(state, record, nowMs) === null) {
    return condition(
      "WORKING",
      `${bulk} Nobody waits for it there any more; it is kept for a minute, in case somebody does ` +
        "again.",
    );
  }
  const held = heldText(session, observationOf(state, source, record) ?? undefined);
  return condition(
    "WAITING_FOR_RELEASE",
    `Waiting for ${nodeText(state, source)} to release: ${held}. ${bulk}`,
  );
}

function sealed(state: CoreState, record: DatasetRecord, { source }: Move): Condition {
  return condition(
    "WORKING",
    `Sealed on ${nodeText(state, source)}; the rest goes to ${targetText(state, record)}` +
      `${progressText(progressOf(state, record))}. Nobody mounts it before that has ended.`,
  );
}

function targetText(state: CoreState, { move, primary }: DatasetRecord): string {
  return nodeText(state, move?.target ?? primary);
}

/** Of the stream that comes in at the target right now, as the target last said. */
export function progressOf(state: CoreState, record: DatasetRecord): Progress | null {
  const { move } = record;
  return move === null ? null : (observationOf(state, move.target, record)?.progress ?? null);
}

/** 0 to 99: only the record says that a stage is complete. Null without an estimate. */
export function percentOf({ bytes, totalBytes }: Progress): number | null {
  if (totalBytes === null || totalBytes <= 0) return null;
  return Math.min(99, Math.floor((bytes * 100) / totalBytes));
}

/** When it will be over at this rate (ms); null without an estimate. */
export function remainingMsOf({ bytes, totalBytes, bytesPerSecond }: Progress): number | null {
  if (totalBytes === null || bytesPerSecond <= 0) return null;
  return (Math.max(0, totalBytes - bytes) * 1_000) / bytesPerSecond;
}

function progressText(progress: Progress | null): string {
  if (progress === null) return "";
  const percent = percentOf(progress);
  const remaining = remainingMsOf(progress);
  const mib = `${(progress.bytes / 2 ** 20).toFixed(0)} MiB`;
  const rate = `${(progress.bytesPerSecond / 2 ** 20).toFixed(1)} MiB/s`;
  const ends = remaining === null ? "" : `, about ${ageText(remaining)} left`;
  return `: ${percent === null ? "" : `${percent} %, `}${mib} so far, ${rate}${ends}`;
}

/** Why a local dataset waits for the node that its data is on; null when that node answers. */
export function awayCondition(
  state: CoreState,
  record: DatasetRecord,
  nowMs: number,
): Condition | null {
  const live = liveCopy(record);
  if (live === null || state.sessionOf(live.node) !== null) return null;
  const { node } = live;
  const entry = state.nodes.get(node);
  const left = withoutText(state, record, node, nowMs);
  const who = nodeText(state, node);
  if (entry?.removed === true) {
    return condition(
      "WAITING_FOR_NODE",
      `Its live copy is on ${who}, which was removed from the cluster; ${left}. If its disks are ` +
        "lost, so is the dataset: destroy it, or restore a backup of it.",
    );
  }
  if (entry?.declaredDead === true) {
    const again = `; to go on with what is left: flockerctl node declare-dead ${node}`;
    return condition(
      "WAITING_FOR_NODE",
      `Its live copy is on ${who}, which was declared dead; ${left}. It is used again when that ` +
        `node is back${fallbacksBut(state, record, node).length > 0 ? again : ""}.`,
    );
  }
  const gone = silent(state, node, "has the live copy and");
  return { ...gone, message: `${gone.message} (${left}).` };
}
