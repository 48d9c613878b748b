import type { UptimeBook } from "./state.ts";

/** How long things are kept that nobody needs; of the wall clock and of counted uptime, both. */
export type RetentionTimes = { readonly trashMs: number; readonly fallbackMs: number };
export const retentionTimes: RetentionTimes = { trashMs: 7 * 86_400_000, fallbackMs: 86_400_000 };

/** Between two ticks more than this was not seen running: the clock was set, or we were stopped. */
const countedMsMax = 10_000;
const savedEveryMs = 60_000;

/**
 * Counts how long the control service has been running since something was put aside, over all of
 * its starts: a clock that jumps by years empties nothing.
 */
export class Retention {
  readonly times: RetentionTimes;
  #totalMs: number;
  #marks: Map<string, number>;
  #countedAtMs: number;
  #savedMs: number;
  #changed = false;

  constructor(book: UptimeBook | undefined, times: RetentionTimes, nowMs: number) {
    this.times = times;
    this.#totalMs = book?.totalMs ?? 0;
    this.#marks = new Map(Object.entries(book?.marks ?? {}));
    this.#countedAtMs = nowMs;
    this.#savedMs = this.#totalMs;
  }

  count(nowMs: number): void {
    this.#totalMs += Math.min(countedMsMax, Math.max(0, Math.floor(nowMs - this.#countedAtMs)));
    this.#countedAtMs = nowMs;
  }

  /** Counts from the first time that it is asked for `key`. */
  remainingMs(key: string, keptMs: number): number {
    const since = this.#marks.get(key);
    if (since === undefined) {
      this.#marks.set(key, this.#totalMs);
      this.#changed = true;
    }
    return Math.max(0, (since ?? this.#totalMs) + keptMs - this.#totalMs);
  }

  /** Forgets what is not kept any more. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#marks.keys()) {
      if (keys.has(key)) continue;
      this.#marks.delete(key);
      this.#changed = true;
    }
  }

  /** What is to be made durable now; null when that can wait. */
  unsaved(): UptimeBook | null {
    const late = this.#marks.size > 0 && this.#totalMs - this.#savedMs >= savedEveryMs;
    if (!this.#changed && !late) return null;
    this.#changed = false;
    this.#savedMs = this.#totalMs;
    return { totalMs: this.#totalMs, marks: Object.fromEntries(this.#marks) };
  }
}
