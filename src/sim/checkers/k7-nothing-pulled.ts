import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";
import { Excused } from "./excused.ts";

/** Nothing is taken from under a container, or a Mount that was answered, for somebody else. */
export class NothingPulled implements Checker {
  readonly name = "K7";
  judged = 0;
  readonly #excused = new Excused();

  see(event: WorldEvent): string | null {
    this.#excused.see(event);
    if (event.kind !== "taken_down" || !event.heardControl) return null;
    this.judged += 1;
    const { dataset, node, step, users } = event;
    return users.length === 0 || this.#excused.has(dataset, node)
      ? null
      : `${step} of ${dataset} on ${node} while it is used by ${users.join(", ")}`;
  }
}
