import { type Condition, conditionCodes } from "../../domain/condition.ts";
import type { ConditionView } from "../../protocol/api.ts";

/** Since when each object has had its present condition: first noticed, at the latest when read. */
export class ConditionTimes {
  readonly #since = new Map<string, { readonly code: string; readonly atMs: number }>();

  /** Null ends the condition of `object`. */
  note(object: string, what: Condition | null, nowMs: number): number {
    const known = this.#since.get(object);
    if (what === null) {
      this.#since.delete(object);
      return nowMs;
    }
    if (known?.code === what.code) return known.atMs;
    this.#since.set(object, { code: what.code, atMs: nowMs });
    return nowMs;
  }
}

export function conditionView(what: Condition | null, sinceMs: number): ConditionView | null {
  if (what === null) return null;
  return {
    code: what.code,
    message: what.message,
    since: instant(sinceMs),
    attempt: what.attempt,
    next_retry: what.nextRetryMs === null ? null : instant(what.nextRetryMs),
    severity: conditionCodes[what.code],
  };
}

/** ISO 8601 in UTC; what is no instant reads as the epoch. */
export function instant(atMs: number): string {
  const date = new Date(atMs);
  return (Number.isNaN(date.getTime()) ? new Date(0) : date).toISOString();
}
