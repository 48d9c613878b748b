import type { WorldEvent } from "../world/world-event.ts";

/** Nodes that a person's word, or a set-back machine, took a dataset from: until they let go. */
export class Excused {
  readonly #nodes = new Set<string>();

  see(event: WorldEvent): void {
    if (event.kind === "override") this.#nodes.add(`${event.dataset} ${event.node}`);
    if (event.kind !== "machine_died") return;
    for (const key of this.#nodes) if (key.endsWith(` ${event.node}`)) this.#nodes.delete(key);
  }

  /** A showing after the override is a new right, and ends the excuse. */
  shownAgain(event: Extract<WorldEvent, { readonly kind: "shown" }>): void {
    this.#nodes.delete(`${event.dataset} ${event.node}`);
  }

  has(dataset: string, node: string): boolean {
    return this.#nodes.has(`${dataset} ${node}`);
  }
}
