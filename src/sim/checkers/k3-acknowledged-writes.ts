import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

/**
 * The ledger: what a user synced is seen by whoever is shown the volume next, unless a person
 * accepted the loss before it happened.
 */
export class AcknowledgedWrites implements Checker {
  readonly name = "K3";
  judged = 0;
  readonly #acknowledged = new Map<string, Map<string, number>>();
  /** Nodes that may still destroy the volume, as a person accepted. */
  readonly #accepted = new Map<string, Set<string>>();
  /** A loss was accepted since the last showing: the next one begins a new account. */
  readonly #uncertain = new Set<string>();

  see(event: WorldEvent): string | null {
    if (event.kind === "write_acknowledged") this.#write(event);
    if (event.kind === "override" && event.advisory) this.#accept(event.dataset, event.node);
    if (event.kind === "loss_accepted") this.#uncertain.add(event.dataset);
    if (event.kind === "closed") this.#accepted.get(event.dataset)?.delete(event.node);
    if (event.kind === "machine_died") {
      for (const nodes of this.#accepted.values()) nodes.delete(event.node);
    }
    return event.kind === "shown" ? this.#shown(event) : null;
  }

  #of(dataset: string): Map<string, number> {
    const known = this.#acknowledged.get(dataset) ?? new Map<string, number>();
    this.#acknowledged.set(dataset, known);
    return known;
  }

  #write(event: Extract<WorldEvent, { readonly kind: "write_acknowledged" }>): void {
    if (this.#accepted.get(event.dataset)?.has(event.node) === true) return;
    this.#of(event.dataset).set(event.writer, event.sequence);
  }

  #accept(dataset: string, node: string): void {
    this.#accepted.set(dataset, new Set(this.#accepted.get(dataset)).add(node));
    this.#uncertain.add(dataset);
  }

  #shown({
    dataset,
    node,
    entries,
  }: Extract<WorldEvent, { readonly kind: "shown" }>): string | null {
    if (this.#uncertain.has(dataset)) {
      this.#acknowledged.set(dataset, new Map(entries));
      if ((this.#accepted.get(dataset)?.size ?? 0) === 0) this.#uncertain.delete(dataset);
      return null;
    }
    for (const [writer, sequence] of this.#of(dataset)) {
      this.judged += 1;
      const seen = entries.get(writer) ?? 0;
      if (seen < sequence) {
        return `${node} was shown ${dataset} with ${writer} at ${seen}; ${sequence} was synced`;
      }
    }
    return null;
  }
}
