import type { Checker } from "./checkers/checker.ts";
import { Bounds } from "./checkers/k13-bounds.ts";
import { Destroy } from "./checkers/k6-destroy.ts";
import { Truth } from "./checkers/k10-truth.ts";
import { NoOutage } from "./checkers/k12-no-outage.ts";
import { AcknowledgedWrites } from "./checkers/k3-acknowledged-writes.ts";
import { Descent } from "./checkers/k4-identity.ts";
import { OneVolume } from "./checkers/k5-one-volume.ts";
import { NothingPulled } from "./checkers/k7-nothing-pulled.ts";
import { Configuration } from "./checkers/k8-configuration.ts";
import { EngineContract } from "./checkers/k9-engine.ts";
import { OneWriter } from "./checkers/k1-one-writer.ts";
import { Reached } from "./checkers/k11-liveness.ts";
import { Token } from "./checkers/k2-token.ts";
import { Faults } from "./faults.ts";
import { Liveness } from "./liveness.ts";
import type { Marks } from "./marks.ts";
import { Person } from "./person.ts";
import { Prng } from "./prng.ts";
import { Reader } from "./reader.ts";
import { drawTraits, type Traits } from "./traits.ts";
import { Workload } from "./workload.ts";
import type { WorldEvent } from "./world/world-event.ts";
import { WorldContext } from "./world/world-context.ts";
import { type Flaws, noFlaws, World } from "./world/world.ts";

export type Violation = {
  readonly checker: string;
  readonly message: string;
  readonly atMs: number;
};

export type Outcome = {
  readonly violation: Violation | null;
  /** Equal for equal histories. */
  readonly hash: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly judged: ReadonlyMap<string, number>;
};

export type SimulateOptions = {
  readonly marks: Marks;
  readonly flaws?: Flaws;
  /** Faults of a mutant, in place of what the seed draws. */
  readonly traits?: Partial<Traits>;
  readonly trace?: (line: string) => void;
  /** The one checker that judges; a mutant may break other laws before its own. */
  readonly only?: string;
};

export function newCheckers(): readonly Checker[] {
  return [
    new OneWriter(),
    new Token(),
    new AcknowledgedWrites(),
    new Descent(),
    new OneVolume(),
    new Destroy(),
    new NothingPulled(),
    new Configuration(),
    new EngineContract(),
    new Truth(),
    new Reached(),
    new NoOutage(),
    new Bounds(),
  ];
}

/** One world with its checkers; stops at the first law that is broken. */
export class Simulation {
  readonly context: WorldContext;
  readonly world: World;
  readonly workload: Workload;
  readonly checkers: readonly Checker[];
  violation: Violation | null = null;

  constructor(seed: number, traits: Traits, options: SimulateOptions) {
    this.context = new WorldContext({
      seed,
      traits,
      marks: options.marks,
      watch: (event, atMs) => this.#watch(event, atMs),
      trace: options.trace ?? null,
    });
    const { only } = options;
    this.checkers = newCheckers().filter(({ name }) => only === undefined || name === only);
    this.world = new World(this.context, options.flaws ?? noFlaws);
    this.workload = new Workload(this.world);
    new Reader(this.world).begin();
  }

  #watch(event: WorldEvent, atMs: number): void {
    if (this.violation !== null) return;
    for (const checker of this.checkers) {
      const message = checker.see(event, atMs);
      if (message === null) continue;
      this.violation = { checker: checker.name, message, atMs };
      return;
    }
  }

  /** Runs until `untilMs` of virtual time, or the first violation. */
  async runUntil(untilMs: number): Promise<void> {
    const { clock, turns } = this.context;
    while (this.violation === null && clock.advance(untilMs)) await turns.settle();
  }

  outcome(): Outcome {
    const { hash, clock } = this.context;
    return {
      violation: this.violation,
      hash,
      events: clock.events,
      virtualMs: clock.nowMs,
      judged: new Map(this.checkers.map(({ name, judged }) => [name, judged])),
    };
  }
}

/** One seed, one history: safety while faults rage, then liveness after they stopped. */
export async function simulate(seed: number, options: SimulateOptions): Promise<Outcome> {
  const traits = { ...drawTraits(new Prng(seed ^ 0x5f3759df)), ...options.traits };
  const simulation = new Simulation(seed, traits, options);
  const { world, workload, context } = simulation;
  context.note("traits", traits);
  world.start();
  await simulation.runUntil(2_000);
  for (const name of workload.names) {
    const host = context.prng.pick(world.hosts);
    if (host !== undefined) workload.create(name, host.node);
  }
  const faults = new Faults(world, traits.safetyMs);
  workload.begin(traits.safetyMs);
  faults.begin();
  const person = new Person(world);
  person.begin(traits.safetyMs);
  await simulation.runUntil(traits.safetyMs);
  await new Liveness(simulation, faults, person).run();
  return simulation.outcome();
}
