import type { DatasetRecord } from "../domain/record.ts";
import { nameOf } from "../domain/record.ts";
import type { Faults } from "./faults.ts";
import type { Simulation } from "./simulate.ts";

/** Longest path: users that nobody shows any more, a late request, a few retries. */
const boundMs = 420_000;
const mountMs = 125_000;
const stepMs = 2_000;

/** After healing: what is ordered is there within a bound, without anybody's help. */
export class Liveness {
  readonly #simulation: Simulation;
  readonly #faults: Faults;

  constructor(simulation: Simulation, faults: Faults) {
    this.#simulation = simulation;
    this.#faults = faults;
  }

  async run(): Promise<void> {
    const { world, context, workload } = this.#simulation;
    this.#faults.heal();
    context.note("healed", {});
    await this.#simulation.runUntil(context.nowMs + 5_000);
    for (const host of world.hosts) workload.stopAll(host);
    // Every Mount that still waits is answered or given up: afterwards nobody asks for anything.
    await this.#simulation.runUntil(context.nowMs + mountMs);
    for (const host of world.hosts) workload.stopAll(host);
    const ends = context.nowMs + boundMs;
    const wanted = this.#order();
    for (;;) {
      if (this.#simulation.violation !== null) return;
      const waiting = wanted.filter(([id, node]) => !world.shownOn(id).includes(node));
      if (waiting.length === 0 || context.nowMs >= ends) break;
      await this.#simulation.runUntil(context.nowMs + stepMs);
    }
    for (const [id, node] of wanted) {
      const reached = world.shownOn(id).includes(node);
      context.tell({
        kind: "liveness",
        dataset: id,
        wantedOn: node,
        reached,
        detail: reached ? "" : this.#describe(id),
      });
    }
  }

  /** What a person who debugs the seed looks at first. */
  #describe(id: DatasetRecord["datasetId"]): string {
    const { world } = this.#simulation;
    const agents = world.hosts.map(({ agent, node }) => {
      const local = agent?.core.state.datasets.get(id);
      if (local === undefined) return { node };
      const { phase, releaseAsked, condition, users, waiting, observed } = local;
      const seen = observed?.kind ?? null;
      return { node, phase, releaseAsked, condition, seen, users: users.size, waiting };
    });
    const { mode, sessions } = world.control?.core.state ?? {};
    const conditions = [...(sessions?.values() ?? [])].map((one) => [one.node, one.condition]);
    return JSON.stringify({ record: world.medium.records.get(id), agents, mode, conditions });
  }

  #order(): readonly (readonly [DatasetRecord["datasetId"], string])[] {
    const { world, context, workload } = this.#simulation;
    return world
      .records()
      .filter(({ deletion, lost }) => deletion === null && !lost)
      .map((record) => {
        const host = context.prng.pick(world.hosts);
        const node = host?.node ?? record.primary;
        workload.order(nameOf(record) ?? "", node);
        return [record.datasetId, node] as const;
      });
  }
}
