import { type Condition, condition } from "../../domain/condition.ts";
import type { NodeView } from "../../protocol/api.ts";
import type { CoreState } from "../core/core-state.ts";
import { conditionOf } from "../core/hello.ts";
import type { NodeEntry } from "../core/state.ts";
import { type ConditionTimes, conditionView, instant } from "./condition-view.ts";
import type { Presence } from "./presence.ts";

/** One node of the registry, and how it is now. */
export function nodeView(
  state: CoreState,
  entry: NodeEntry,
  { presence, times }: { readonly presence: Presence; readonly times: ConditionTimes },
  nowMs: number,
): NodeView {
  const { nodeId } = entry;
  const connected = state.sessionOf(nodeId) !== null;
  const what = conditionFor(entry, connected);
  const heard = presence.last(nodeId);
  return {
    uuid: nodeId,
    host: entry.host,
    era: entry.bootId,
    status: statusOf(entry, connected),
    pools: entry.pools.map(({ name, driver, capabilities: { kind } }) => ({ name, driver, kind })),
    last_seen: connected ? instant(nowMs) : heard === null ? null : instant(heard.atMs),
    condition: conditionView(what, times.note(nodeId, what, heard?.atMs ?? nowMs)),
  };
}

function statusOf(entry: NodeEntry, connected: boolean): NodeView["status"] {
  if (entry.removed) return "removed";
  if (entry.clashWith !== null) return "clash";
  if (connected) return entry.wentBack ? "went_back" : "connected";
  return entry.declaredDead ? "dead" : "silent";
}

function conditionFor(entry: NodeEntry, connected: boolean): Condition | null {
  if (entry.removed) return null;
  const own = conditionOf(entry);
  if (own !== null || connected) return own;
  if (!entry.declaredDead) {
    return condition(
      "WAITING_FOR_NODE",
      `Node ${entry.nodeId} (${entry.host}) is not connected. Start it, or if it is gone for good: ` +
        `flockerctl node declare-dead ${entry.nodeId}`,
    );
  }
  return condition(
    "WAITING_FOR_NODE",
    `Node ${entry.nodeId} (${entry.host}) was declared dead. Should it come back, it cuts off what ` +
      `it had; if it never will: flockerctl node remove ${entry.nodeId}`,
  );
}
