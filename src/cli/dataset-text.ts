import { unreachable } from "../lib/assert.ts";
import type { CopyView, DatasetView, MoveView, NodeView, ProgressView } from "../protocol/api.ts";

/** Words of the original, with the reason after them where there is one. */
export function statusText(dataset: DatasetView): string {
  const why = dataset.condition === null ? "" : ` ${dataset.condition.message}`;
  const warning = why === "" ? "" : ` ⚠${why}`;
  switch (dataset.phase) {
    case "attached":
      return `attached ✅${warning}`;
    case "pending":
      return `pending ⌛${why}`;
    case "moving":
      if (dataset.move !== null) return moveText(dataset, dataset.move);
      return `pending ⌛${why === "" ? movingText(dataset) : why}`;
    case "error":
      return `error ❌${why}`;
    case "detached":
      return `detached${warning}`;
    case "deleting":
      return "deleting";
    case "trashed":
      return "deleted";
    default:
      return unreachable(dataset.phase);
  }
}

/** `moving ⌛ 43 % to 08ad1785`, and what it waits for if it does more than copy. */
function moveText({ condition }: DatasetView, { target, phase, progress }: MoveView): string {
  const percent = progress === null ? null : percentOf(progress);
  const where = `to ${target.slice(0, 8)}`;
  const how = percent === null ? (phase === "sealed" ? "sealed, " : "") : `${percent} % `;
  const why = condition === null || condition.code === "WORKING" ? "" : `: ${condition.message}`;
  return `moving ⌛ ${how}${where}${why}`;
}

/** 0 to 99; null without an estimate of the whole. */
export function percentOf({ bytes, total }: ProgressView): number | null {
  if (total === null || total === 0) return null;
  return Math.min(99, Math.floor((bytes * 100) / total));
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

/** `fallback of generation 3 since 2026-11-27T00:04:05.000Z` */
export function copyText({ role, generation, since, settled, discarding }: CopyView): string {
  const marks = [...(settled ? [] : ["not settled"]), ...(discarding ? ["being removed"] : [])];
  const note = marks.length === 0 ? "" : ` (${marks.join(", ")})`;
  return `${role} of generation ${generation} since ${since}${note}`;
}
