import { FlockerError } from "../lib/errors.ts";
import type { DatasetView, NodeView } from "../protocol/api.ts";

/**
 * The one node whose id begins with `prefix`; an exact host name or address does as well.
 * Removed nodes are not looked at.
 */
export function selectNode(nodes: readonly NodeView[], prefix: string): NodeView {
  const present = nodes.filter(({ status }) => status !== "removed");
  const found = present.filter(({ uuid, host }) => startsWith(uuid, prefix) || host === prefix);
  return theOnly(found, prefix, "node");
}

/**
 * The one dataset whose id begins with `prefix`, or whose name is `prefix`. Deleted ones never
 * match; a text that fits two datasets, in whatever way, is refused rather than guessed at.
 */
export function selectDataset(datasets: readonly DatasetView[], prefix: string): DatasetView {
  const live = datasets.filter(({ deleted }) => !deleted);
  return selectByName(live, prefix);
}

type Named = Pick<DatasetView, "dataset_id" | "name">;

/** The same among what is in the trash, where several may have had one name. */
export function selectByName<One extends Named>(all: readonly One[], prefix: string): One {
  const exact = all.filter(({ dataset_id: id }) => id === prefix.toLowerCase());
  const found = all.filter(({ dataset_id: id, name }) => startsWith(id, prefix) || name === prefix);
  return theOnly(exact.length === 1 ? exact : found, prefix, "dataset");
}

function startsWith(id: string, prefix: string): boolean {
  return id.startsWith(prefix.toLowerCase());
}

function theOnly<T>(found: readonly T[], prefix: string, what: "node" | "dataset"): T {
  const [first] = found;
  if (first === undefined) {
    const code = what === "node" ? "NODE_NOT_FOUND" : "DATASET_NOT_FOUND";
    throw new FlockerError(code, `no ${what} uuids matching ${prefix}`);
  }
  if (found.length > 1) {
    throw new FlockerError("INVALID_ARGUMENT", `${prefix} is ambiguous ${what}`);
  }
  return first;
}
