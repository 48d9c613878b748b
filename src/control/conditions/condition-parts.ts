import { type Condition, condition } from "../../domain/condition.ts";
import type { NodeId } from "../../domain/ids.ts";
import type { Copy, DatasetRecord } from "../../domain/record.ts";
import type { Observation } from "../../protocol/agent-messages.ts";
import type { CoreState } from "../core/core-state.ts";
import { isGivenUp } from "../core/operations.ts";
import type { Session } from "../core/state.ts";
import { hasPool } from "../core/moves.ts";

export function observationOf(
  state: CoreState,
  node: NodeId,
  record: DatasetRecord,
): Observation | null {
  return state.sessionOf(node)?.observations.get(record.datasetId) ?? null;
}

/** `node 08ad1785 (10.77.0.1)` */
export function nodeText(state: CoreState, node: NodeId): string {
  const host = state.nodes.get(node)?.host;
  return `node ${node.slice(0, 8)}${host === undefined ? "" : ` (${host})`}`;
}

/** Who keeps a holder from giving back, and what to do about it. */
export function heldText(session: Session, seen: Observation | undefined): string {
  if (seen === undefined) return "it has not said yet what it sees";
  const containers = [...seen.users, ...seen.holders].flatMap(({ container }) =>
    container === null ? [] : [session.containers.get(container)?.name ?? container],
  );
  const names = [...new Set(containers)].sort();
  if (names.length > 0) {
    const noun = names.length === 1 ? "container" : "containers";
    return `held by ${noun} ${names.slice(0, 5).join(", ")}; stop ${names.length === 1 ? "it" : "them"} there`;
  }
  const process = seen.holders.find(({ pid }) => pid !== null);
  if (process !== undefined) {
    return `held by process ${process.pid} (${process.command ?? "unknown"}); end it there`;
  }
  if (seen.users.length > 0) return "a Mount of its engine uses it; stop the container there";
  return "nothing uses it there any more; it follows within some seconds";
}

/** `role` says what is waited for: `has the dataset and`. */
export function silent(state: CoreState, node: NodeId, role: string): Condition {
  const clash = state.nodes.get(node)?.clashWith ?? null;
  if (clash !== null) {
    return condition(
      "NODE_ID_CLASH",
      `${capital(nodeText(state, node))} ${role} shares its certificate with another machine. ` +
        `Turn the wrong one off; then flockerctl node replace ${node}`,
    );
  }
  return condition(
    "WAITING_FOR_NODE",
    `${capital(nodeText(state, node))} ${role} is not connected. Start it, or if it is gone for ` +
      `good: flockerctl node declare-dead ${node}`,
  );
}

/** The node of `session` cannot store this dataset; null when it can. */
export function noPool(
  state: CoreState,
  session: Session,
  record: DatasetRecord,
): Condition | null {
  if (hasPool(session, record)) return null;
  const away = session.poolsAway.find(({ name }) => name === record.pool);
  if (away !== undefined) {
    return condition(
      "BACKEND_UNAVAILABLE",
      `${capital(nodeText(state, session.node))} cannot open its pool ${away.name}: ` +
        `${away.message.replace(/\.?$/, ".")} Its agent tries again.`,
    );
  }
  const pools = session.pools.map(({ name }) => name).join(", ") || "none";
  return condition(
    "POOL_MISSING",
    `${capital(nodeText(state, session.node))} has no pool ${record.pool} (its pools: ${pools}). ` +
      "Add it to its agent.yml, or move the dataset to a node that has it.",
  );
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `3 h`, for the age of a copy. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.floor(seconds / 3_600)} h`
    : `${Math.floor(seconds / 86_400)} days`;
}

/** Fallbacks that a person's word could make live, newest first. */
export function fallbacksBut(
  state: CoreState,
  record: DatasetRecord,
  node: NodeId,
): readonly Copy[] {
  return record.copies
    .filter((one) => one.role === "fallback" && one.node !== node && !one.discarding)
    .filter((one) => !isGivenUpNode(state, one.node))
    .sort((x, y) => y.generation - x.generation || y.sinceMs - x.sinceMs);
}

/** What is left of a local dataset without the node of its live copy, and how old it is. */
export function withoutText(
  state: CoreState,
  record: DatasetRecord,
  node: NodeId,
  nowMs: number,
): string {
  const others = fallbacksBut(state, record, node);
  const [parted] = record.copies.filter((one) => one.role === "diverged" && one.node !== node);
  if (others.length === 0 && parted !== undefined) {
    return (
      `${nodeText(state, parted.node)} has a copy that diverged ${ageText(nowMs - parted.sinceMs)} ` +
      `ago: flockerctl copies rescue ${record.datasetId} --node ${parted.node} --as <name>`
    );
  }
  if (others.length === 0) return "no other node has a copy of it: it is only there";
  const texts = others.map((one) => `${nodeText(state, one.node)} has a ${copyText(one, nowMs)}`);
  return `${texts.join(", ")}; what was written after that would be lost`;
}

function isGivenUpNode(state: CoreState, node: NodeId): boolean {
  const entry = state.nodes.get(node);
  return entry !== undefined && isGivenUp(entry);
}

function copyText({ role, sinceMs }: Copy, nowMs: number): string {
  return `${role} that is ${ageText(nowMs - sinceMs)} old`;
}
