import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

const windowMs = 60_000;
const listsMax = 4;
const entriesMax = 200;

/** Volumes keep their limits, a whole account is listed seldom, and nobody is told things twice. */
export class Bounds implements Checker {
  readonly name = "K13";
  judged = 0;
  #lists: readonly number[] = [];

  see(event: WorldEvent, atMs: number): string | null {
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others are not its own
    switch (event.kind) {
      case "local_shown":
        this.judged += 1;
        if (!event.writable) return `${event.node} was shown a sealed copy of ${event.dataset}`;
        return event.limitBytes === null ? `${event.dataset} was shown without its limit` : null;
      case "account_listed":
        this.judged += 1;
        this.#lists = [...this.#lists.filter((one) => one > atMs - windowMs), atMs];
        return this.#lists.length > listsMax
          ? `the whole account was listed ${this.#lists.length} times within a minute`
          : null;
      case "records_told":
        this.judged += 1;
        if (event.entries > entriesMax) return `${event.entries} records came in one message`;
        return event.known ? `${event.node} was told all records that it had already` : null;
      default:
        return null;
    }
  }
}
