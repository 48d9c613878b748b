import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

/** What was acknowledged is there after every start of the store, unless a person set it back. */
export class Configuration implements Checker {
  readonly name = "K8";
  judged = 0;
  readonly #created = new Set<string>();
  readonly #deleted = new Set<string>();

  see(event: WorldEvent): string | null {
    if (event.kind === "configuration_acknowledged") {
      if (event.what === "created") this.#created.add(event.dataset);
      if (event.what === "deleted") this.#deleted.add(event.dataset);
      return null;
    }
    if (event.kind === "restore_asked") this.#deleted.delete(event.dataset);
    if (event.kind !== "store_opened") return null;
    if (event.restored) {
      // A person took it back: what is there from here on counts.
      for (const id of this.#created) if (!event.known.has(id)) this.#created.delete(id);
      // What it does not know, an agent may.
      for (const id of this.#deleted) {
        if (event.live.has(id) || !event.known.has(id)) this.#deleted.delete(id);
      }
      return null;
    }
    this.judged += 1;
    for (const id of this.#created) {
      if (!event.known.has(id)) return `the store does not know ${id}, whose creation was answered`;
    }
    for (const id of this.#deleted) {
      if (event.live.has(id)) return `the store shows ${id}, whose deletion was answered, as live`;
    }
    return null;
  }
}
