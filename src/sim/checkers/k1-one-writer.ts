import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

type Shown = Extract<WorldEvent, { readonly kind: "shown" }>;
type Named = Extract<WorldEvent, { readonly kind: "claim_named" }>;
type Showing = { readonly node: string; readonly atMs: number };

/**
 * No block reaches a volume from X after Y was shown it, and the storage's exclusivity is never
 * taken from whoever has it mounted, unless a person took it.
 */
export class OneWriter implements Checker {
  readonly name = "K1";
  judged = 0;
  /** The last showing on each node. */
  readonly #shown = new Map<string, Map<string, number>>();
  /** Nodes that have the volume open since they were shown it. */
  readonly #open = new Map<string, Set<string>>();
  /** Up to which generation a person took it from a node that still has it. */
  readonly #overridden = new Map<string, number>();
  readonly #accepted = new Set<string>();
  /** Nodes that were given a later claim since. */
  readonly #renewed = new Set<string>();
  /** Nodes that know that it was taken from them: they cut, and let nothing out. */
  readonly #told = new Set<string>();

  see(event: WorldEvent, atMs: number): string | null {
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others are not its own
    switch (event.kind) {
      case "shown":
        this.#datasetOf.set(event.ref, event.dataset);
        if (this.#isLate(event)) return null;
        this.#showing(event.ref).set(event.node, atMs);
        this.#opened(event.ref).add(event.node);
        return null;
      case "closed":
        this.#closed(event.dataset, event.node);
        return null;
      case "machine_died":
        this.#died(event.node);
        return null;
      case "override":
        // Its claim is over: a block of its own is still one too many, the next owner's is not.
        for (const [ref, of] of this.#datasetOf) {
          if (of === event.dataset) this.#open.get(ref)?.delete(event.node);
        }
        this.#renewed.delete(`${event.dataset} ${event.node}`);
        this.#overridden.set(`${event.dataset} ${event.node}`, event.generation);
        if (event.advisory) this.#accepted.add(`${event.dataset} ${event.node}`);
        return null;
      case "claim_named":
        this.#named(event);
        return null;
      case "superseded_heard":
        this.#told.add(`${event.dataset} ${event.node}`);
        return null;
      case "block_written":
        return this.#block(event);
      case "attachment_taken":
        this.judged += 1;
        return event.mounted && !this.#overridden.has(`${event.dataset} ${event.node}`)
          ? `the attachment of ${event.dataset} was taken from ${event.node}, which has it mounted`
          : null;
      default:
        return null;
    }
  }

  #named({ dataset, node, generation, where }: Named): void {
    const key = `${dataset} ${node}`;
    const taken = this.#overridden.get(key);
    if (where === "store" && taken !== undefined && generation > taken) this.#renewed.add(key);
  }

  /**
   * A mount that was under way when a person took the claim: no right of its own, so that the next
   * owner's blocks are no fault. What is shown under a later claim is one, and ends the excuse.
   */
  #isLate({ dataset, node }: Shown): boolean {
    const key = `${dataset} ${node}`;
    if (this.#overridden.has(key) && !this.#renewed.has(key)) return true;
    this.#end(key);
    return false;
  }

  #end(key: string): void {
    this.#overridden.delete(key);
    this.#accepted.delete(key);
    this.#renewed.delete(key);
  }

  #showing(ref: string): Map<string, number> {
    const known = this.#shown.get(ref) ?? new Map<string, number>();
    this.#shown.set(ref, known);
    return known;
  }

  #opened(ref: string): Set<string> {
    const known = this.#open.get(ref) ?? new Set<string>();
    this.#open.set(ref, known);
    return known;
  }

  readonly #datasetOf = new Map<string, string>();

  #closed(dataset: string, node: string): void {
    const key = `${dataset} ${node}`;
    for (const [ref, of] of this.#datasetOf) {
      if (of !== dataset) continue;
      this.#open.get(ref)?.delete(node);
      // A late showing that a person accepted is no reproach to the one who has the claim.
      if (this.#accepted.has(key)) this.#shown.get(ref)?.delete(node);
    }
    this.#end(key);
    this.#told.delete(key);
  }

  #died(node: string): void {
    for (const nodes of this.#open.values()) nodes.delete(node);
    for (const key of [...this.#overridden.keys(), ...this.#accepted, ...this.#told]) {
      if (!key.endsWith(` ${node}`)) continue;
      this.#end(key);
      this.#told.delete(key);
    }
  }

  #block(event: Extract<WorldEvent, { readonly kind: "block_written" }>): string | null {
    const { ref, node, dataset, mountedAtMs } = event;
    this.judged += 1;
    this.#datasetOf.set(ref, dataset);
    const other = this.#otherShowing(ref, node, mountedAtMs);
    const key = `${dataset} ${node}`;
    if (event.clean && other !== null && this.#told.has(key)) {
      return `${node} unmounted ${dataset} cleanly, which was taken from it and shown to ${other.node}`;
    }
    if (this.#accepted.has(key)) return null;
    if (other === null || this.#accepted.has(`${dataset} ${other.node}`)) return null;
    return `a block of ${dataset} (${ref}) came from ${node} after ${other.node} was shown it`;
  }

  #otherShowing(ref: string, node: string, sinceMs: number): Showing | null {
    const open = this.#open.get(ref);
    for (const [other, atMs] of this.#shown.get(ref) ?? []) {
      if (other === node) continue;
      if (atMs > sinceMs || open?.has(other) === true) return { node: other, atMs };
    }
    return null;
  }
}
