import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";
import { Excused } from "./excused.ts";

/**
 * Get never denies an acknowledged name (a host that never heard it and cannot ask is exempt); the
 * path of an answered Mount shows the dataset when it is used; a Mount that the engine gave up on
 * is not counted.
 */
export class EngineContract implements Checker {
  readonly name = "K9";
  judged = 0;
  readonly #names = new Set<string>();
  readonly #deleted = new Set<string>();
  readonly #excused = new Excused();

  see(event: WorldEvent): string | null {
    this.#excused.see(event);
    if (event.kind === "store_opened" && event.restored) this.#names.clear();
    if (event.kind === "configuration_acknowledged") {
      if (event.what !== "created") {
        this.#deleted.add(event.dataset);
        this.#names.delete(event.name);
      } else if (!this.#deleted.has(event.dataset)) this.#names.add(event.name);
      return null;
    }
    if (event.kind === "restore_asked") this.#deleted.delete(event.dataset);
    if (event.kind === "get_answered") return this.#get(event);
    if (event.kind === "abandoned_mount") {
      this.judged += 1;
      return event.counted
        ? `${event.node} still counts Mount ${event.mountId}, which the engine gave up on`
        : null;
    }
    if (event.kind !== "path_used") return null;
    this.judged += 1;
    return event.shown || this.#excused.has(event.dataset, event.node)
      ? null
      : `${event.when} on ${event.node}, but ${event.dataset} is not shown there`;
  }

  #get(event: Extract<WorldEvent, { readonly kind: "get_answered" }>): string | null {
    if (!this.#names.has(event.name) || event.neverHeard) return null;
    this.judged += 1;
    return event.found ? null : `Get of ${event.name} was denied on ${event.node}`;
  }
}
