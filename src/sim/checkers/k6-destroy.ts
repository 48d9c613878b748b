import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

type Removed = Extract<WorldEvent, { readonly kind: "copy_removed" }>;

/**
 * What is destroyed was asked to be, and the last copy of what somebody synced is never removed
 * otherwise: also not one that a person's word made an older one of.
 */
export class Destroy implements Checker {
  readonly name = "K6";
  judged = 0;
  readonly #asked = new Set<string>();
  readonly #acknowledged = new Map<string, Map<string, number>>();
  /** A disk lost what it had: who knows which copy was the last. */
  readonly #broken = new Set<string>();

  see(event: WorldEvent): string | null {
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others are not its own
    switch (event.kind) {
      case "destroy_asked":
        this.#asked.add(event.dataset);
        return null;
      case "begun_again":
        this.#asked.delete(event.dataset);
        return null;
      case "loss_accepted":
        if (event.disk) this.#broken.add(event.dataset);
        return null;
      case "write_acknowledged": {
        const writers = this.#acknowledged.get(event.dataset) ?? new Map<string, number>();
        this.#acknowledged.set(event.dataset, writers.set(event.writer, event.sequence));
        return null;
      }
      case "volume_destroyed":
        this.judged += 1;
        return this.#asked.has(event.dataset)
          ? null
          : `${event.dataset} was destroyed by ${event.node}, and nobody asked for it`;
      case "copy_removed":
        return this.#removed(event);
      default:
        return null;
    }
  }

  #removed({ dataset, node, entries, left }: Removed): string | null {
    this.judged += 1;
    if (this.#asked.has(dataset) || this.#broken.has(dataset)) return null;
    for (const [writer, acknowledged] of this.#acknowledged.get(dataset) ?? []) {
      const had = Math.min(entries.get(writer) ?? 0, acknowledged);
      if (had === 0 || left.some((one) => (one.get(writer) ?? 0) >= had)) continue;
      return `${node} removed the last copy of ${dataset} that has ${writer} at ${had}`;
    }
    return null;
  }
}
