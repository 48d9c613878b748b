import type { Identity } from "../domain/volume.ts";
import { base, held, label, type WithRecord } from "./cells.ts";
import { wait } from "./decision.ts";
import type { LocalAction, LocalDecision } from "./local-action.ts";
import type { DesiredLocal } from "./local-desired.ts";
import type { ObservedLocal } from "./observed.ts";

export type Want<D extends DesiredLocal["kind"]> = Extract<DesiredLocal, { readonly kind: D }>;
export type See<O extends ObservedLocal["kind"]> = Extract<ObservedLocal, { readonly kind: O }>;
export type Cell<D extends DesiredLocal["kind"], O extends ObservedLocal["kind"]> = (
  want: Want<D>,
  see: See<O>,
) => LocalDecision;
export type Row<D extends DesiredLocal["kind"]> = {
  readonly [O in ObservedLocal["kind"]]: Cell<D, O>;
};

export function act(action: LocalAction): LocalDecision {
  return { kind: "act", action };
}

export const noPool = ({ record }: WithRecord): LocalDecision =>
  wait(
    "POOL_MISSING",
    `Pool ${record.pool}, on which ${label(record)} lives, is not there. No new one is made in its ` +
      "place; mount its disk.",
  );

export const missing = ({ record }: WithRecord, what: string): LocalDecision =>
  wait(
    "VOLUME_MISSING",
    `${label(record)} has no live copy on this node: ${what}. No new one is made in its place; bring ` +
      "it back, or use what is left elsewhere: flockerctl copies ls.",
  );

export const foreign = ({ record }: WithRecord, see: See<"foreign">): LocalDecision =>
  wait(
    "IDENTITY_MISMATCH",
    `What stands in the place of ${label(record)} is not its data: ${see.detail}. Nothing was ` +
      "mounted or written. Put the right one back.",
  );

export const diverged = ({ record }: WithRecord, see: See<"diverged" | "parted">): LocalDecision =>
  wait(
    "CLAIM_CONFLICT",
    `The copy of ${label(record)} on this node diverged at generation ` +
      `${see.identity.generation}: another copy was made live without it. It is neither used nor ` +
      "removed: flockerctl copies ls, then flockerctl copies rescue.",
  );

export function hideOrWait(want: WithRecord, see: See<"shown">, generation: number): LocalDecision {
  return see.holders.length > 0
    ? held(want, see)
    : act({ ...base(want.record, generation), kind: "hide_live" });
}

/**
 * The identity fits the record, is not older than the copy that the record means, and nobody used
 * it under a newer claim; null when all is well.
 */
export function misfit(
  { record }: WithRecord,
  found: Identity,
  span: { readonly from: number; readonly to: number },
): LocalDecision | null {
  if (found.lineage !== record.lineage) {
    return wait(
      "IDENTITY_MISMATCH",
      `The copy of ${label(record)} descends from another volume (${found.lineage}) than ` +
        "its record. Nothing was mounted. Put the right one back.",
    );
  }
  if (found.generation < span.from) {
    return wait(
      "VOLUME_LOST_CONTENT",
      `The copy of ${label(record)} here is of generation ${found.generation}; the one that was ` +
        `used last is of ${span.from}. The pool was set back. Nothing was mounted; bring the newer ` +
        "one back, or use what is left elsewhere: flockerctl copies ls.",
    );
  }
  return found.generation > span.to
    ? wait(
        "STALE_CLAIM",
        `The copy of ${label(record)} was used under generation ${found.generation}, newer ` +
          `than ${span.to}. Nothing was mounted: flocker control recover.`,
      )
    : null;
}
