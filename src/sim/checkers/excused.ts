import type { WorldEvent } from "../world/world-event.ts";

/** Nodes that a person's word, or a set-back machine, took a dataset from: until they let go. */
export class Excused {
  readonly #nodes = new Map<string, { readonly generation: number; renewed: boolean }>();

  see(event: WorldEvent): void {
    if (event.kind === "override") {
      const { dataset, node, generation } = event;
      this.#nodes.set(`${dataset} ${node}`, { generation, renewed: false });
    }
    if (event.kind === "claim_named" || event.kind === "shown") this.#renew(event);
    if (event.kind !== "machine_died") return;
    for (const key of this.#nodes.keys()) {
      if (key.endsWith(` ${event.node}`)) this.#nodes.delete(key);
    }
  }

  /** Only what is shown under a later claim is a new right. */
  #renew(event: Extract<WorldEvent, { readonly kind: "claim_named" | "shown" }>): void {
    const key = `${event.dataset} ${event.node}`;
    const known = this.#nodes.get(key);
    if (known === undefined) return;
    if (event.kind === "shown" && known.renewed) this.#nodes.delete(key);
    if (event.kind !== "claim_named" || event.where !== "store") return;
    if (event.generation > known.generation) known.renewed = true;
  }

  has(dataset: string, node: string): boolean {
    return this.#nodes.has(`${dataset} ${node}`);
  }
}

/** Whose destruction a store that was set back has forgotten: it is made anew, and empty. */
export class Undone {
  readonly #destroyed = new Set<string>();

  /** The datasets of which that is so from here on. */
  see(event: WorldEvent): readonly string[] {
    if (event.kind === "volume_destroyed") this.#destroyed.add(event.dataset);
    if (event.kind === "copy_removed" && event.how === "destroy" && event.left.length === 0) {
      this.#destroyed.add(event.dataset);
    }
    if (event.kind !== "store_opened" || !event.restored) return [];
    const anew = [...this.#destroyed];
    this.#destroyed.clear();
    return anew;
  }
}
