import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

/** After healing everything wanted is reached in bounded time; nothing moves twice unasked. */
export class Reached implements Checker {
  readonly name = "K11";
  judged = 0;
  readonly #unasked = new Map<string, number>();

  see(event: WorldEvent): string | null {
    if (event.kind === "liveness") {
      this.judged += 1;
      return event.reached
        ? null
        : `${event.dataset} did not come to ${event.wantedOn} in time: ${event.detail}`;
    }
    // A person's word that a node is gone takes a dataset elsewhere, and so does a store that was
    // set back: these are requests as well.
    if (event.kind === "store_opened" && event.restored) this.#unasked.clear();
    if (event.kind === "override" || event.kind === "loss_accepted") {
      this.#unasked.delete(event.dataset);
    }
    if (event.kind !== "moved") return null;
    this.judged += 1;
    if (event.requested) return null;
    const count = (this.#unasked.get(event.dataset) ?? 0) + 1;
    this.#unasked.set(event.dataset, count);
    return count > 1 ? `${event.dataset} moved ${count} times without a new request` : null;
  }
}
