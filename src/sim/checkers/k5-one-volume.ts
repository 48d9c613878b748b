import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";
import { Undone } from "./excused.ts";

/** mkfs never writes on data, and at most one volume of a dataset is ever shown. */
export class OneVolume implements Checker {
  readonly name = "K5";
  judged = 0;
  readonly #shown = new Map<string, string>();
  /** Where a person accepted the loss: a mkfs that was under way there may still write. */
  readonly #accepted = new Set<string>();
  readonly #undone = new Undone();
  readonly #anew = new Set<string>();

  see(event: WorldEvent): string | null {
    for (const dataset of this.#undone.see(event)) {
      this.#shown.delete(dataset);
      this.#anew.add(dataset);
    }
    if (event.kind === "override" && event.advisory) {
      this.#accepted.add(`${event.dataset} ${event.node}`);
    }
    if (event.kind === "machine_died") {
      for (const key of this.#accepted) {
        if (key.endsWith(` ${event.node}`)) this.#accepted.delete(key);
      }
    }
    if (event.kind === "mkfs_written") {
      this.judged += 1;
      if (this.#anew.delete(event.dataset)) return null;
      return event.shownBefore && !this.#accepted.has(`${event.dataset} ${event.node}`)
        ? `mkfs on ${event.node} wrote on ${event.ref} of ${event.dataset}, which was shown before`
        : null;
    }
    if (event.kind !== "shown") return null;
    this.judged += 1;
    const before = this.#shown.get(event.dataset) ?? event.ref;
    this.#shown.set(event.dataset, before);
    return before === event.ref
      ? null
      : `${event.ref} was shown for ${event.dataset} after ${before} was`;
  }
}
