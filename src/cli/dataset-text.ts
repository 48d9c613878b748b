import { unreachable } from "../lib/assert.ts";
import type { DatasetView, NodeView } from "../protocol/api.ts";

/** Words of the original, with the reason after them where there is one. */
export function statusText(dataset: DatasetView): string {
  const why = dataset.condition === null ? "" : ` ${dataset.condition.message}`;
  switch (dataset.phase) {
    case "attached":
      return "attached ✅";
    case "pending":
      return `pending ⌛${why}`;
    case "moving":
      return `pending ⌛${why === "" ? movingText(dataset) : why}`;
    case "error":
      return `error ❌${why}`;
    case "detached":
      return "detached";
    case "deleting":
      return "deleting";
    case "trashed":
      return "deleted";
    default:
      return unreachable(dataset.phase);
  }
}

function movingText({ node, primary }: DatasetView): string {
  const from = node === null ? "" : ` from ${node.slice(0, 8)}`;
  return ` moving${from} to ${primary.slice(0, 8)}`;
}

/** `<first 8 of the id> (<host>)`, or `<missing>` for a node that is not there any more. */
export function serverText(uuid: string | null, nodes: readonly NodeView[], long: boolean): string {
  const node = nodes.find((each) => each.uuid === uuid);
  if (node === undefined || node.status === "removed") return "<missing>";
  return `${long ? node.uuid : node.uuid.slice(0, 8)} (${node.host})`;
}

/** Gibibytes with two decimals. */
export function sizeText(sizeBytes: number): string {
  return `${(sizeBytes / 2 ** 30).toFixed(2)}G`;
}

export function metadataText(metadata: Readonly<Record<string, string>>): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
