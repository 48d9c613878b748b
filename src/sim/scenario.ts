import { assert } from "../lib/assert.ts";
import { Faults } from "./faults.ts";
import { Liveness } from "./liveness.ts";
import { Marks } from "./marks.ts";
import { Person } from "./person.ts";
import { type SimulateOptions, Simulation, type Violation } from "./simulate.ts";
import { calm, type Traits } from "./traits.ts";
import type { Direction } from "./world/network.ts";
import { type Host, noFlaws } from "./world/world.ts";

/** A story in words: one command a line, `#` begins a comment, as raft's data-driven tests. */
export type Scenario = {
  readonly name: string;
  /** Mutants that this story must find. */
  readonly mutants: readonly string[];
  readonly traits: Partial<Traits>;
  readonly lines: readonly (readonly string[])[];
};

export function parseScenario(name: string, text: string): Scenario {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => line.split(/\s+/));
  const rest = (command: string): readonly string[] =>
    lines.filter(([first]) => first === command).flatMap(([, ...words]) => words);
  const traits = Object.fromEntries(
    rest("traits").map((word) => {
      const [key = "", value = ""] = word.split("=");
      return [key, /^\d/.test(value) ? Number(value) : value];
    }),
  );
  const story = lines.filter(([first]) => first !== "mutants" && first !== "traits");
  return { name, mutants: rest("mutants"), traits, lines: story };
}

/** Plays a story; its first violation, or null. A command that cannot be obeyed throws. */
export async function play(
  scenario: Scenario,
  options: Pick<SimulateOptions, "flaws" | "trace" | "only"> = {},
): Promise<Violation | null> {
  const traits = { ...calm, ...scenario.traits };
  const marks = new Marks();
  const simulation = new Simulation(1, traits, { marks, flaws: noFlaws, ...options });
  simulation.world.start();
  await simulation.runUntil(1_000);
  const stage = new Stage(simulation);
  for (const line of scenario.lines) {
    if (simulation.violation !== null) break;
    await stage.obey(line);
  }
  return simulation.violation;
}

const waitMsMax = 200_000;

class Stage {
  readonly #simulation: Simulation;
  readonly #faults: Faults;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#faults = new Faults(simulation.world, 0);
  }

  async obey([command = "", first = "", second = ""]: readonly string[]): Promise<void> {
    const { world, workload, context } = this.#simulation;
    const host = (): Host => this.#host(/^h\d/.test(first) ? first : second);
    const commands: Readonly<Record<string, () => void | Promise<void>>> = {
      advance: () => this.#simulation.runUntil(context.nowMs + Number(first)),
      create: () => workload.create(first, host().node),
      order: () => workload.order(first, host().node),
      delete: () => workload.delete(first, second === "purge"),
      run: () => void workload.run(host(), first),
      stop: () => workload.stopAll(host()),
      restart: () => this.#restart(host()),
      shown: () => this.#waitShown(first, host()),
      "kill-agent": () => world.killAgent(host()),
      "start-agent": () => world.startAgent(host()),
      pause: () => this.#faults.pause(host()),
      resume: () => this.#faults.resume(host()),
      "pause-agent": () => host().agent?.strand.stop("signal"),
      "resume-agent": () => host().agent?.strand.go("signal"),
      "kill-engine": () => host().engine.kill(),
      "start-engine": () => host().engine.start(),
      crash: () => world.powerOff(host()),
      boot: () => world.powerOn(host()),
      "kill-control": () => world.killControl(),
      "start-control": () => world.startControl(),
      cut: () => world.network.cut(host().node, this.#directions(second)),
      heal: () => world.network.heal(host().node),
      session: () => this.#waitSession(host()),
      told: () => this.#waitTold(first, host()),
      mounted: () => this.#waitMounted(first, host()),
      phase: () => this.#waitPhase(first, second),
      part: () => world.network.isolate(host().node, true),
      join: () => world.network.isolate(host().node, false),
      "break-streams": () => {
        for (const transfer of host().agent?.local.serving.transfers ?? []) transfer.cut();
      },
      dead: () => new Person(world).declareDead(host(), true),
      stall: () => {
        for (const connection of world.network.of(host().node)) connection.stalled = true;
      },
      unstall: () => world.network.of(host().node)[0]?.unstall(),
      drop: () => {
        for (const connection of world.network.of(host().node)) connection.closeAtAgent();
      },
      converge: () => new Liveness(this.#simulation, this.#faults, new Person(world)).run(),
    };
    const obeyed = commands[command];
    assert(obeyed !== undefined, `a scenario knows the command ${command}`);
    await obeyed();
    await context.turns.settle();
  }

  #host(name: string): Host {
    const host = this.#simulation.world.hosts[Number(name.slice(1)) - 1];
    assert(host !== undefined, `the scenario's host ${name} exists`);
    return host;
  }

  #directions(name: string): readonly Direction[] {
    if (name === "toControl" || name === "toAgent") return [name];
    return ["toControl", "toAgent"];
  }

  #restart(host: Host): void {
    for (const container of host.engine.containers.values()) container.restart();
  }

  async #waitSession(host: Host): Promise<void> {
    const { context } = this.#simulation;
    const ends = context.nowMs + waitMsMax;
    while ((host.agent?.core.state.link ?? null) === null) {
      assert(context.nowMs < ends, `h${host.machine.index} has a session in time`);
      await this.#simulation.runUntil(context.nowMs + 1);
    }
  }

  /** The host's agent knows that the dataset is its own. */
  #waitTold(name: string, host: Host): Promise<void> {
    return this.#wait(`h${host.machine.index} is told of ${name}`, () => {
      const id = this.#simulation.world.recordNamed(name)?.datasetId;
      const known = id === undefined ? undefined : host.agent?.core.state.records.get(id);
      return known?.record.claim?.node === host.node;
    });
  }

  /** Whether or not it is shown to anybody yet. */
  #waitMounted(name: string, host: Host): Promise<void> {
    return this.#wait(`${name} is mounted on h${host.machine.index}`, () => {
      const id = this.#simulation.world.recordNamed(name)?.datasetId;
      return id !== undefined && host.machine.kernel.mounted(id, "volume") !== null;
    });
  }

  /** `over`: there is no move of it. */
  #waitPhase(name: string, phase: string): Promise<void> {
    return this.#wait(`the move of ${name} is ${phase}`, () => {
      const record = this.#simulation.world.recordNamed(name);
      return record !== undefined && (record.move?.phase ?? "over") === phase;
    });
  }

  async #wait(what: string, isSo: () => boolean): Promise<void> {
    const { context } = this.#simulation;
    const ends = context.nowMs + waitMsMax;
    while (this.#simulation.violation === null && !isSo()) {
      assert(context.nowMs < ends, `${what} in time`);
      await this.#simulation.runUntil(context.nowMs + 1);
    }
  }

  async #waitShown(name: string, host: Host): Promise<void> {
    const { world, context } = this.#simulation;
    const ends = context.nowMs + waitMsMax;
    while (this.#simulation.violation === null) {
      const record = world.recordNamed(name);
      if (record !== undefined && world.shownOn(record.datasetId).includes(host.node)) return;
      assert(context.nowMs < ends, `${name} is shown on h${host.machine.index} in time`);
      await this.#simulation.runUntil(context.nowMs + 100);
    }
  }
}
