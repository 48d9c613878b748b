import type { ApiClient } from "../../client/api-client.ts";
import type { CopiesView, CopyView, DatasetView, NodeView } from "../../protocol/api.ts";
import { serverText } from "../dataset-text.ts";

/** All that is needed to say what is lost without a node. */
export type Cluster = {
  readonly nodes: readonly NodeView[];
  readonly datasets: readonly DatasetView[];
  /** Of deleted datasets too. */
  readonly copies: readonly CopiesView[];
  readonly nowMs: number;
};

export async function lookAtCluster(client: ApiClient): Promise<Cluster> {
  const [{ nodes }, { datasets }, { datasets: copies }] = await Promise.all([
    client.listNodes(),
    client.listAllDatasets(),
    client.listCopies(),
  ]);
  return { nodes, datasets, copies, nowMs: Date.now() };
}

/** What a node has, with what is lost if its claims end by a person's word; a line each. */
export function heldLines({ uuid, host }: NodeView, cluster: Cluster): readonly string[] {
  const { datasets, copies } = cluster;
  const held = datasets.filter(
    (one) => one.claim?.node === uuid || one.node === uuid || isLiveAt(one, uuid),
  );
  const kept = copies.filter((one) => one.deleted && isLiveAt(one, uuid));
  const shared = held.some((one) => one.copies.length === 0);
  const parted = held.some((one) => fallbacks(one, uuid, cluster).length > 0);
  return [
    `Node ${uuid} (${host}) holds ${held.length === 0 ? "no dataset" : counted(held.length, "dataset")}.`,
    ...held.map((one) => `${heldText(one)}: ${loss(one, uuid, cluster)}`),
    ...kept.map(
      ({ dataset_id: id, name }) =>
        `  ${id} ${name ?? "(no name)"} (deleted): its volume is on this node alone`,
    ),
    ...(shared ? ["If it still runs and writes, these volumes may be destroyed as a whole."] : []),
    ...(parted
      ? ["What this node has on its own disks is put aside there: flockerctl copies ls."]
      : []),
  ];
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function isLiveAt({ copies }: { readonly copies: readonly CopyView[] }, node: string): boolean {
  return copies.some((one) => one.role === "live" && one.node === node);
}

function heldText({ dataset_id: id, name, users, claim }: DatasetView): string {
  const generation = claim === null ? "" : `, claim ${claim.generation}`;
  const used = users.length === 0 ? "not in use" : `used by ${users.length}`;
  return `  ${id} ${name ?? "(no name)"} (${used}${generation})`;
}

/** Those that could be made live: a node that was given up too has none. */
function fallbacks({ copies }: DatasetView, node: string, { nodes }: Cluster): readonly CopyView[] {
  const gone = new Set(
    nodes.flatMap(({ uuid, status }) => (status === "dead" || status === "removed" ? [uuid] : [])),
  );
  return copies
    .filter((one) => one.role === "fallback" && !one.discarding)
    .filter((one) => one.node !== node && !gone.has(one.node));
}

function loss(dataset: DatasetView, node: string, cluster: Cluster): string {
  const { nodes, nowMs } = cluster;
  if (!isLiveAt(dataset, node)) return "what was not synced is lost";
  const others = fallbacks(dataset, node, cluster).map((one) => {
    const age = ageText(nowMs - Date.parse(one.since));
    return `${serverText(one.node, nodes, false)} has a fallback that is ${age} old (${one.since})`;
  });
  return others.length === 0
    ? "no other node has a copy; nobody can use it before this node is back"
    : `${others.join(", ")}; what was written after that is lost`;
}

function ageText(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2_880
    ? `${Math.floor(minutes / 60)} h`
    : counted(Math.floor(minutes / 1_440), "day");
}
