import type { NodeId } from "../domain/ids.ts";
import type { Host, World } from "./world/world.ts";

/** A machine runs twice with one certificate, until a person turns the second one off. */
export class Clones {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  begin(host: Host, spanMs: number): void {
    const { context, clones } = this.#world;
    const { certificate } = host.machine;
    const isCloned = clones.some(({ machine }) => machine.powered);
    if (isCloned || host.machine.disk.cluster === null || this.#world.medium.setBack) return;
    context.marks.hit("node cloned");
    const clone = this.#world.clone(host);
    context.clock.after(spanMs, () => {
      this.#world.powerOff(clone);
      this.#settleSoon(certificate);
    });
  }

  #settleSoon(node: NodeId): void {
    const { context } = this.#world;
    context.clock.after(context.prng.between(2_000, 20_000), () => {
      if (!this.#settle(node)) this.#settleSoon(node);
    });
  }

  /** `flockerctl node replace`: said only of a node whose right machine is connected. */
  #settle(node: NodeId): boolean {
    const { control, context } = this.#world;
    const state = control?.core.state;
    if (control === null || state === undefined || !control.strand.running) return false;
    if ((state.nodes.get(node)?.clashWith ?? null) === null) return true;
    if (state.sessionOf(node) === null) return false;
    context.marks.hit("node replaced");
    return control.run((core) => core.replaceNode(node, control.nowMs)) === null;
  }

  /** No clone is left, and nobody is taken for one. */
  end(): void {
    for (const clone of this.#world.clones) this.#world.powerOff(clone);
    for (const { machine } of this.#world.hosts) this.#settle(machine.certificate);
  }
}
