import { type Condition, condition } from "../../domain/condition.ts";
import type { NodeId } from "../../domain/ids.ts";
import { type Claim, type DatasetRecord, liveCopy, nameOf, type Op } from "../../domain/record.ts";
import type { Observation } from "../../protocol/agent-messages.ts";
import { unreachable } from "../../lib/assert.ts";
import type { CoreState } from "../core/core-state.ts";
import { shadowText } from "../core/push.ts";
import { lostText } from "../core/recovery.ts";
import { backedOff, targetRefusal, wantedBy, wants } from "../core/moves.ts";
import { capital, heldText, nodeText, noPool, observationOf, silent } from "./condition-parts.ts";
import { awayCondition, moveCondition } from "./local-condition.ts";

/**
 * Why a dataset is not where it should be, in a sentence that lets a person act; null when it is.
 * What the node that works on it says of itself comes first; a mere warning last.
 */
export function datasetCondition(
  state: CoreState,
  record: DatasetRecord,
  nowMs: number,
): Condition | null {
  return obstacle(state, record, nowMs) ?? shadow(state, record);
}

function shadow(state: CoreState, record: DatasetRecord): Condition | null {
  const name = record.deletion === null ? nameOf(record) : null;
  const text = name === null ? null : shadowText(state, name);
  return text === null ? null : condition("SHADOWED_BY_LOCAL_VOLUME", text);
}

function obstacle(state: CoreState, record: DatasetRecord, nowMs: number): Condition | null {
  if (record.lost) return condition("RECORD_LOST", lostText(record));
  if (record.op !== null) return ofOp(state, record, record.op);
  if (record.move !== null) return moveCondition(state, record, record.move, nowMs);
  if (record.claim !== null) return ofClaim(state, record, record.claim, nowMs);
  if (record.deletion !== null) return ofDeletion(state, record);
  return ofWant(state, record, nowMs);
}

/** What the holder's live session says that it sees; null when it is silent. */
export function holderObservation(state: CoreState, record: DatasetRecord): Observation | null {
  return record.claim === null ? null : observationOf(state, record.claim.node, record);
}

function ofOp(state: CoreState, record: DatasetRecord, op: Op): Condition {
  const what =
    op.kind === "destroy"
      ? "destroy the volume"
      : `detach the volume from ${op.target === null ? "its node" : nodeText(state, op.target)}`;
  const { executor } = op;
  if (executor === null) {
    const live = liveCopy(record);
    if (live !== null && state.sessionOf(live.node) === null) {
      return silent(state, live.node, `is to ${what} and`);
    }
    return condition(
      "WAITING_FOR_OPERATION",
      `Waiting for a connected node with the pool ${record.pool} to ${what}. Start an agent there.`,
    );
  }
  const who = nodeText(state, executor.node);
  if (op.vanishedAtMs !== null) {
    return condition(
      "WAITING_FOR_OPERATION",
      `The agent on ${who} ended while it was to ${what}. What it asked the storage may still ` +
        "land: after the longest time that takes, it is looked at again and done anew.",
    );
  }
  if (state.sessionOf(executor.node) === null) {
    return condition(
      "OPERATION_UNDECIDED",
      `${capital(who)} was to ${what} and is not connected: nobody knows whether it did. Start ` +
        `it, or if it is gone for good: flockerctl node declare-dead ${executor.node}`,
    );
  }
  const said = observationOf(state, executor.node, record)?.condition;
  return said ?? condition("WORKING", `${capital(who)} is asked to ${what}.`);
}

function ofClaim(
  state: CoreState,
  record: DatasetRecord,
  claim: Claim,
  nowMs: number,
): Condition | null {
  const session = state.sessionOf(claim.node);
  if (session === null) {
    const away = awayCondition(state, record, nowMs);
    return away ?? silent(state, claim.node, "has the dataset and");
  }
  const seen = session.observations.get(record.datasetId);
  if (seen !== undefined && seen.condition !== null) return seen.condition;
  const who = nodeText(state, claim.node);
  const waiting = wantedBy(state, record, nowMs);
  if (waiting !== null || record.deletion !== null) {
    return condition(
      "WAITING_FOR_RELEASE",
      `Waiting for ${who} to release: ${heldText(session, seen)}.`,
    );
  }
  // Nobody is served, so the order waits for its own node, and stays where it is until then.
  if (record.orderOpen && record.primary !== claim.node) return ofWant(state, record, nowMs);
  if (session.condition !== null) return session.condition;
  if (claim.phase === "releasing") {
    return condition("WAITING_FOR_RELEASE", `${capital(who)} is giving the dataset back.`);
  }
  if (seen?.shown === true) return null;
  return condition("WORKING", `${capital(who)} has the claim and is getting the volume ready.`);
}

function ofDeletion(state: CoreState, record: DatasetRecord): Condition | null {
  if (record.deletion?.phase !== "deleting") return null;
  if (record.residue !== null) return residue(state, record, record.residue);
  return condition("WORKING", "The dataset is being deleted.");
}

function ofWant(state: CoreState, record: DatasetRecord, nowMs: number): Condition | null {
  const mode = modeCondition(state);
  if (mode !== null) return mode;
  const away = awayCondition(state, record, nowMs);
  if (away !== null) return away;
  const target = targetOf(state, record, nowMs);
  const entry = state.nodes.get(target);
  const who = nodeText(state, target);
  if (entry?.removed !== false) {
    return condition(
      "WAITING_FOR_NODE",
      `Its primary, ${who}, was removed from the cluster. Move it: flockerctl move -d ` +
        `${record.datasetId} -t <node>`,
    );
  }
  const session = state.sessionOf(target);
  if (session === null) return silent(state, target, "is its primary and");
  if (session.condition !== null) return session.condition;
  if (record.superseded.includes(target)) {
    return condition(
      "SUPERSEDED",
      `${capital(who)} was declared dead while it had the dataset, and has not yet said that it ` +
        "cut its access. It gets nothing of it before; if it does not come to that, reboot it.",
    );
  }
  if (record.residue !== null && record.residue !== target) {
    return residue(state, record, record.residue);
  }
  const poolless = noPool(state, session, record);
  if (poolless !== null) return poolless;
  const refused = targetRefusal(state, record.datasetId, target, nowMs);
  if (refused !== null) return condition("POOL_FULL", refused);
  if (backedOff(state, record, nowMs)) {
    return condition(
      "PING_PONG",
      "The dataset was moved back and forth several times within a minute; the next move waits " +
        "some seconds. Two nodes use it in turn: stop one of the containers.",
    );
  }
  const said = session.observations.get(record.datasetId)?.condition;
  return said ?? condition("WAITING_FOR_CLAIM", `${capital(who)} gets the dataset next.`);
}

/** Who is served next, or would be if it were connected. */
function targetOf(state: CoreState, record: DatasetRecord, nowMs: number): NodeId {
  const asked = wants(state, record, nowMs).find(({ kind }) => kind !== "rest");
  if (asked !== undefined) return asked.node;
  return record.orderOpen ? record.primary : (liveCopy(record)?.node ?? record.primary);
}

/** The control service itself holds everything up. */
export function modeCondition({ mode }: CoreState): Condition | null {
  switch (mode.kind) {
    case "recovering":
      return condition("RECOVERING", mode.message);
    case "read_only":
      return condition(
        mode.code === "TWO_CONTROL_SERVICES" ? "TWO_CONTROL_SERVICES" : "STORE_WENT_BACK",
        mode.message,
      );
    case "normal":
      return null;
    default:
      return unreachable(mode);
  }
}

function residue(state: CoreState, record: DatasetRecord, node: NodeId): Condition {
  const who = nodeText(state, node);
  if (state.sessionOf(node) === null) {
    return condition(
      "WAITING_FOR_CLEANUP",
      `The volume may still be attached to ${who}, which had it and was rebooted, and which is ` +
        `not connected. Start it, or if it is gone for good: flockerctl node declare-dead ${node}`,
    );
  }
  return (
    observationOf(state, node, record)?.condition ??
    condition(
      "WAITING_FOR_CLEANUP",
      `${capital(who)} detaches what it had attached before its last boot.`,
    )
  );
}
