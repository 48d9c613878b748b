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
  readonly #overridden = new Set<string>();

  see(event: WorldEvent): string | null {
    if (event.kind === "override") this.#overridden.add(`${event.dataset} ${event.node}`);
    if (event.kind === "closed") this.#overridden.delete(`${event.dataset} ${event.node}`);
    if (event.kind !== "claim_named") return null;
    this.judged += 1;
    const { dataset, generation, node, era } = event;
    const key = `${dataset} ${generation}`;
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
}
