import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

/**
 * (dataset, generation) names at most one (node, era) in all history, and a new name is given only
 * when nobody uses the volume under an older one, unless a person said so.
 */
export class Token implements Checker {
  readonly name = "K2";
  judged = 0;
  readonly #named = new Map<string, string>();
  /** Names that a node was told. */
  readonly #heard = new Set<string>();
  readonly #overridden = new Set<string>();

  see(event: WorldEvent): string | null {
    if (event.kind === "override") this.#overridden.add(`${event.dataset} ${event.node}`);
    if (event.kind === "closed") this.#overridden.delete(`${event.dataset} ${event.node}`);
    if (event.kind === "store_opened" && event.restored) this.#forgetUnheard();
    if (event.kind !== "claim_named") return null;
    this.judged += 1;
    const { dataset, generation, node, era } = event;
    const key = `${dataset} ${generation}`;
    if (event.where === "agent") this.#heard.add(key);
    const who = `${node} ${era}`;
    const before = this.#named.get(key);
    if (before !== undefined && before !== who) {
      return `generation ${generation} of ${dataset} names ${who} and named ${before}`;
    }
    this.#named.set(key, who);
    if (event.where !== "store" || before !== undefined) return null;
    const other = event.mountedOn.find(
      (one) => one !== node && !this.#overridden.has(`${dataset} ${one}`),
    );
    return other === undefined
      ? null
      : `generation ${generation} of ${dataset} was given to ${node} while ${other} has it mounted`;
  }

  /** What a person took back was named nowhere else: nobody can act under such a name. */
  #forgetUnheard(): void {
    for (const key of this.#named.keys()) if (!this.#heard.has(key)) this.#named.delete(key);
  }
}
