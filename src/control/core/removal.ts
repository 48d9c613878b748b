import type { NodeId } from "../../domain/ids.ts";
import { anonymousName, type DatasetRecord, nameOf } from "../../domain/record.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { Answer, Request } from "../../protocol/agent-messages.ts";
import type { CoreState } from "./core-state.ts";
import { assertWritable } from "./create.ts";
import { deleteDataset } from "./operations.ts";
import type { NamingContainer, NodeEntry, Session } from "./state.ts";

/**
 * `docker volume rm`, `compose down -v`: an engine knows its own containers alone, so what is used
 * or named on another node is refused here. A stopped container there counts: it would start on
 * another, empty volume of the name.
 */
export function removeByName(
  state: CoreState,
  session: Session,
  { name, datasetId: meant }: Extract<Request, { readonly kind: "remove" }>,
  nowMs: number,
): Answer {
  assertWritable(state);
  const datasetId = state.names.get(name);
  const record = datasetId === undefined ? undefined : state.records.get(datasetId);
  // Removed before, and the name is free or another's: a request may be said again.
  if (record === undefined || (meant !== null && meant !== datasetId)) {
    return { kind: "ok", entry: null, notice: null };
  }
  const reason =
    inUse(state, record, session.node) ??
    named(state, name, session.node) ??
    unheard(state, record, session.node);
  if (reason !== null) throw new FlockerError("DATASET_IN_USE", `Volume ${name} ${reason}`);
  deleteDataset(state, record.datasetId, false, nowMs);
  return { kind: "ok", entry: null, notice: null };
}

/** The holder's own word decides; a holder that is silent may be using it. */
function inUse(state: CoreState, record: DatasetRecord, asker: NodeId): string | null {
  const holder = record.claim?.node ?? null;
  if (holder === null || holder === asker) return null;
  const session = state.sessionOf(holder);
  if (session === null) return `may be in use on ${nodeText(state, holder)}. ${wayOut(holder)}`;
  const seen = session.observations.get(record.datasetId);
  if (seen !== undefined && seen.users.length === 0 && seen.holders.length === 0) return null;
  return `is in use on ${nodeText(state, holder)}. Stop its container there first.`;
}

function named(state: CoreState, name: string, asker: NodeId): string | null {
  for (const node of othersOf(state, asker)) {
    const found = [...(state.containers.get(node)?.values() ?? [])]
      .filter(({ volumes }) => volumes.includes(name))
      .sort((one, two) => (one.name < two.name ? -1 : 1));
    if (found.length > 0) return namedBy(state, node, found);
  }
  return null;
}

const shownMax = 5;

function namedBy(state: CoreState, node: NodeId, all: readonly NamingContainer[]): string {
  const shown = all.slice(0, shownMax);
  const more = all.length > shownMax ? ` and ${all.length - shownMax} more` : "";
  const texts = shown.map(({ name, running }) => `${name} (${running ? "running" : "stopped"})`);
  const noun = all.length === 1 ? "container" : "containers";
  const who = `is named by ${noun} ${texts.join(", ")}${more} on ${nodeText(state, node)}`;
  if (state.sessionOf(node) === null) return `${who}, as it was last heard. ${wayOut(node)}`;
  const force = shown.some(({ running }) => running) ? " -f" : "";
  const them = all.length === 1 ? "it" : "them";
  return `${who}. Remove ${them} there first: docker rm${force} ${shown.map(({ name }) => name).join(" ")}`;
}

/**
 * What containers name is not in the store. After a start, a volume that would be destroyed waits
 * for the nodes that were not heard yet; one that goes to the trash can be had back.
 */
function unheard(state: CoreState, record: DatasetRecord, asker: NodeId): string | null {
  if (record.reclaim !== "delete" || anonymousName.test(nameOf(record) ?? "")) return null;
  const node = othersOf(state, asker).find(
    (one) => state.sessionOf(one) === null && !state.containers.has(one),
  );
  if (node === undefined) return null;
  return (
    `would be destroyed, and whether a container on ${nodeText(state, node)} names it is not ` +
    `known. ${wayOut(node)}`
  );
}

/** Everybody else who may have containers. */
function othersOf(state: CoreState, asker: NodeId): readonly NodeId[] {
  const isGone = ({ nodeId, removed, declaredDead }: NodeEntry): boolean =>
    removed || (declaredDead && state.sessionOf(nodeId) === null);
  return [...state.nodes.values()]
    .filter((entry) => entry.nodeId !== asker && !isGone(entry))
    .map(({ nodeId }) => nodeId)
    .sort();
}

function nodeText(state: CoreState, node: NodeId): string {
  return `node ${node} (${state.nodes.get(node)?.host ?? "unknown"})`;
}

function wayOut(node: NodeId): string {
  return (
    "That node is not connected: start it, or if it is gone for good: flockerctl node " +
    `declare-dead ${node}`
  );
}
