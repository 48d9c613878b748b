import type { Fields, Logger } from "../../lib/log.ts";

/** One request that a driver got, as text for the driver's author. */
export type TracedCall = {
  /** Which of the bench's backends got it: `here`, `there` or `other cluster`. */
  readonly node: string;
  readonly operation: string;
  readonly args: string;
  readonly outcome: string;
  readonly durationMs: number;
};

const textMax = 600;

/** Collects what `logCalls` and `logLocalCalls` tell of the calls of one case. */
export class CallTrace implements Logger {
  readonly calls: TracedCall[] = [];

  debug(event: string, fields: Fields = {}): void {
    if (!event.startsWith("driver.call_")) return;
    const { driver, operation, args, durationMs, result, err } = fields;
    const failed = event === "driver.call_failed";
    this.calls.push({
      node: String(driver),
      operation: String(operation),
      args: Array.isArray(args) ? args.map(textOf).join(", ") : "",
      outcome: failed ? `failed: ${String(err)}` : textOf(result),
      durationMs: Number(durationMs),
    });
  }

  child(): Logger {
    return this;
  }

  error(): void {}
  warn(): void {}
  info(): void {}
}

function textOf(value: unknown): string {
  const text = value === undefined ? "done" : JSON.stringify(value);
  return text.length > textMax ? `${text.slice(0, textMax)}…` : text;
}
