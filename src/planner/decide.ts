import { attachableTable } from "./attachable-table.ts";
import type { Decision } from "./decision.ts";
import type { Desired } from "./desired.ts";
import type { ObservedAttachable } from "./observed.ts";

type Cell<D, O> = (want: D, see: O) => Decision;

/** Looks the pair up in the total table. Pure: equal arguments, equal decision. */
export function decideAttachable(want: Desired, see: ObservedAttachable): Decision {
  // The table is total by type; a key alone does not narrow it to the one cell that fits.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  const cell = attachableTable[want.kind][see.kind] as Cell<Desired, ObservedAttachable>;
  return cell(want, see);
}
