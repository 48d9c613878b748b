import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";
import { Excused, Undone } from "./excused.ts";

type LocalShown = Extract<WorldEvent, { readonly kind: "local_shown" }>;

/** Content that is shown descends from the first that was shown, by growing generations. */
export class Descent implements Checker {
  readonly name = "K4";
  judged = 0;
  readonly #first = new Map<string, { readonly mkfs: number; generation: number }>();
  /** Where a person accepted the loss: a late mkfs of that node may have replaced the content. */
  readonly #accepted = new Set<string>();
  /**
   * A person took it from a node whose writes nothing stops: a mount that was under way there may
   * still come, of the contents as that node had them.
   */
  readonly #excused = new Excused();
  readonly #undone = new Undone();

  /** Of local volumes: as what each was shown last, and of which an older copy may be chosen. */
  readonly #last = new Map<string, number>();
  readonly #older = new Set<string>();

  #local({ dataset, node, whole, generation, descends }: LocalShown): string | null {
    if (!whole) return `${node} was shown a part of ${dataset} for all of it`;
    const last = this.#last.get(dataset) ?? 0;
    this.#last.set(dataset, generation);
    if (descends >= last || this.#older.has(dataset)) return null;
    return `${node} was shown ${dataset} as it was at generation ${descends}, after ${last}`;
  }

  see(event: WorldEvent): string | null {
    for (const dataset of this.#undone.see(event)) this.#first.delete(dataset);
    if (event.kind === "override" && event.advisory) {
      this.#accepted.add(event.dataset);
    }
    if (event.kind !== "override" || event.advisory) this.#excused.see(event);
    if (event.kind === "override" || event.kind === "loss_accepted") {
      this.#older.add(event.dataset);
    }
    if (event.kind === "local_shown") return this.#local(event);
    if (event.kind !== "shown") return null;
    const { dataset, mkfs, generation, node } = event;
    if (this.#excused.has(dataset, node)) return null;
    const first = this.#first.get(dataset);
    const replaced = first?.mkfs !== mkfs && this.#accepted.has(dataset);
    if (first === undefined || replaced) {
      this.#first.set(dataset, { mkfs, generation });
      return null;
    }
    this.judged += 1;
    if (first.mkfs !== mkfs) {
      return `${node} was shown content of mkfs ${mkfs} for ${dataset}, which began as ${first.mkfs}`;
    }
    if (generation < first.generation) {
      return `${dataset} was shown at generation ${generation} after ${first.generation}`;
    }
    first.generation = generation;
    return null;
  }
}
