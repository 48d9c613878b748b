import type { DatasetId } from "../../domain/ids.ts";
import { type DatasetRecord, isListed } from "../../domain/record.ts";
import type { ObservedDataset, ObservedNode } from "../../protocol/api.ts";
import type { CoreState } from "../core/core-state.ts";
import type { Presence } from "./presence.ts";

/**
 * The list of Flocker 1.15: what is mounted first, then the volumes that are nowhere. A dataset
 * whose holder fell silent is in neither once the holder is forgotten: nobody knows.
 */
export function observedDatasets(
  state: CoreState,
  presence: Presence,
  nowMs: number,
): readonly ObservedDataset[] {
  const mounted = new Map<DatasetId, ObservedDataset>();
  for (const { session } of presence.recent(nowMs)) {
    for (const { datasetId, shown, path } of session.observations.values()) {
      const record = state.records.get(datasetId);
      if (!shown || path === null || record?.claim?.node !== session.node) continue;
      mounted.set(datasetId, {
        dataset_id: datasetId,
        primary: session.node,
        path,
        maximum_size: sizeOf(record),
      });
    }
  }
  const heard = new Set(presence.recent(nowMs).map(({ session }) => session.node));
  const unmounted = [...state.records.values()]
    .filter((record) => record.volume.kind === "exists" && isListed(record))
    .filter(({ datasetId }) => !mounted.has(datasetId))
    .filter(({ claim }) => claim === null || heard.has(claim.node))
    .map((record) => ({ dataset_id: record.datasetId, maximum_size: sizeOf(record) }));
  return [...sorted([...mounted.values()]), ...sorted(unmounted)];
}

function sizeOf({ volume, sizeBytes }: DatasetRecord): number {
  return volume.kind === "exists" ? volume.sizeBytes : sizeBytes;
}

function sorted(list: readonly ObservedDataset[]): readonly ObservedDataset[] {
  return list.toSorted((a, b) => (a.dataset_id < b.dataset_id ? -1 : 1));
}

export function observedNodes(
  state: CoreState,
  presence: Presence,
  nowMs: number,
): readonly ObservedNode[] {
  return presence
    .recent(nowMs)
    .flatMap(({ session }) => state.nodes.get(session.node) ?? [])
    .filter(({ removed }) => !removed)
    .map(({ nodeId, host }) => ({ host, uuid: nodeId }));
}
