import { type DatasetRecord, nameOf } from "../domain/record.ts";
import type { Holder } from "../domain/volume.ts";
import type { Action, NodeIdentity } from "./action.ts";
import { type Decision, wait } from "./decision.ts";

/** What the cells of both tables share, attachable and local. */
export type WithRecord = { readonly record: DatasetRecord };

type Wait = Extract<Decision, { readonly kind: "wait" }>;

/** Text for people: the name when there is one, with the id that logs and files use. */
export function label(record: DatasetRecord): string {
  const name = nameOf(record);
  return name === null ? `dataset ${record.datasetId}` : `${name} (${record.datasetId})`;
}

/** Each once, five at the most: containers by their short id, others by command. */
export function holdersText(holders: readonly Holder[]): string {
  const texts = holders.map(({ container, pid, command }) =>
    container === null
      ? `process ${pid ?? "?"} (${command ?? "?"})`
      : `container ${container.slice(0, 12)} (pid ${pid ?? "?"})`,
  );
  return [...new Set(texts)].slice(0, 5).join(", ");
}

export type Base = Pick<Action, "datasetId" | "pool" | "generation">;

export function base({ datasetId, pool }: DatasetRecord, generation: number | null): Base {
  return { datasetId, pool, generation };
}

export function identity({ datasetId, lineage }: DatasetRecord, generation: number): NodeIdentity {
  return { datasetId, lineage, generation };
}

export const look = (_: unknown, see: { readonly reason: string; readonly busy: boolean }): Wait =>
  see.busy
    ? wait("BUSY_CHILD", `An earlier child process still works on it: ${see.reason}`)
    : wait("UNKNOWN_OBSERVATION", `Its storage could not be read: ${see.reason}`);

export const held = ({ record }: WithRecord, see: { readonly holders: readonly Holder[] }): Wait =>
  wait("HELD", `${label(record)} is still held by ${holdersText(see.holders)}.`);

type Kinded = { readonly kind: string };
type Cell<Said> = (want: never, see: never) => Said;
type Table<Want extends Kinded, See extends Kinded, Said> = Readonly<
  Record<Want["kind"], Readonly<Record<See["kind"], Cell<Said>>>>
>;

/** What the cell of this pair says. Pure, as the cells are. */
export function decideBy<Want extends Kinded, See extends Kinded, Said>(
  table: Table<Want, See, Said>,
  want: Want,
  see: See,
): Said {
  const wanted: Want["kind"] = want.kind;
  const seen: See["kind"] = see.kind;
  // A table is total by type; a key alone does not narrow it to the one cell that fits.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  const cell = table[wanted][seen] as (want: Want, see: See) => Said;
  return cell(want, see);
}
