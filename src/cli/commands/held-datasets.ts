import type { DatasetView } from "../../protocol/api.ts";

/** What a node has, with what is lost if its claims end by a person's word; a line each. */
export function heldLines(
  { uuid, host }: { readonly uuid: string; readonly host: string },
  datasets: readonly DatasetView[],
): readonly string[] {
  const held = datasets.filter(({ claim, node }) => claim?.node === uuid || node === uuid);
  const count = held.length === 0 ? "no dataset" : counted(held.length, "dataset");
  const danger = "If it still runs and writes, these volumes may be destroyed as a whole.";
  return [
    `Node ${uuid} (${host}) holds ${count}.`,
    ...held.map(loss),
    ...(held.length === 0 ? [] : [danger]),
  ];
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function loss({ dataset_id: id, name, users, claim }: DatasetView): string {
  const generation = claim === null ? "" : `, claim ${claim.generation}`;
  const used = users.length === 0 ? "not in use" : `used by ${users.length}`;
  return `  ${id} ${name ?? "(no name)"} (${used}${generation}): what was not synced is lost`;
}
