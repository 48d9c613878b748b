import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";
import { Excused } from "./excused.ts";

/**
 * No outage of our own making: an agent that has not heard the control service takes nothing from
 * a container, and no running container ever fails for another reason than its storage or a person.
 */
export class NoOutage implements Checker {
  readonly name = "K12";
  judged = 0;
  readonly #excused = new Excused();

  see(event: WorldEvent): string | null {
    this.#excused.see(event);
    if (event.kind === "write_acknowledged") this.judged += 1;
    if (event.kind === "container_failed") {
      this.judged += 1;
      return this.#excused.has(event.dataset, event.node)
        ? null
        : `a container on ${event.node} lost ${event.dataset} under it`;
    }
    if (event.kind !== "taken_down" || event.heardControl) return null;
    this.judged += 1;
    const { dataset, node, step, users } = event;
    return users.length === 0 || this.#excused.has(dataset, node)
      ? null
      : `${step} of ${dataset} on ${node}, without a word of the control service, while it is ` +
          `used by ${users.join(", ")}`;
  }
}
