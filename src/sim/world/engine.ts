import type { ContainerSeen } from "../../agent/core/effects.ts";
import type { PluginAnswer, PluginCall } from "../../agent/core/plugin-call.ts";
import type { CreateOptions } from "../../protocol/agent-messages.ts";
import type { AgentProcess } from "./agent-process.ts";
import { poolOf } from "../pool/names.ts";
import { Strand } from "../clock.ts";
import { Container } from "./container.ts";
import type { Machine } from "./machine.ts";
import type { WorldContext } from "./world-context.ts";

const noOptions: CreateOptions = {
  sizeBytes: null,
  pool: null,
  fileSystem: null,
  reclaim: null,
  profile: null,
};

type Pending = {
  readonly call: PluginCall;
  readonly agent: AgentProcess;
  readonly strand: Strand;
  readonly done: (answer: PluginAnswer | null) => void;
};

export type EngineSurroundings = {
  readonly agent: () => AgentProcess | null;
  readonly datasetAt: (mountpoint: string) => string;
  readonly getAnswered: (name: string, answer: PluginAnswer, askedMs: number) => void;
  /** A Mount that nobody waits for any more: the agent must not count it after a grace. */
  readonly gaveUp: (mountId: string) => void;
  /** What an empty body is taken for by the plugin's parser; null: refused. */
  readonly parseEmpty: (call: PluginCall) => PluginCall | null;
  readonly forgetsAbandoned: boolean;
};

/** One machine's container engine: names, containers, mount ids, and its habits with a plugin. */
export class Engine {
  readonly machine: Machine;
  readonly context: WorldContext;
  readonly around: EngineSurroundings;
  readonly containers = new Map<string, Container>();
  /** Mount ids that were answered and not taken back, with the dataset's path. */
  readonly mounts = new Map<string, string>();
  strand: Strand;
  readonly #pending = new Map<number, Pending>();
  #nextCall = 1;
  #nextContainer = 1;

  constructor(machine: Machine, around: EngineSurroundings) {
    this.machine = machine;
    this.context = machine.context;
    this.around = around;
    this.strand = this.#begin();
  }

  #begin(): Strand {
    const strand = new Strand(this.context.clock);
    if (this.machine.stopped) strand.stop("machine");
    strand.every(4_000, () => this.#tellAgent(this.seen()));
    return strand;
  }

  #tellAgent(containers: readonly ContainerSeen[] | null): void {
    const agent = this.around.agent();
    const seen = containers === null ? null : { containers, localVolumes: [] };
    agent?.strand.deliver(() => agent.step({ kind: "engine", seen }));
  }

  seen(): readonly ContainerSeen[] {
    return [...this.containers.values()].map(({ id, volume, phase }) => ({
      id,
      name: id,
      state: phase === "running" ? "running" : phase === "stopped" ? "ended" : "created",
      volumes: [volume],
      waits: false,
    }));
  }

  /** kill -9: calls are dropped, Unmounts never sent; containers live on (live-restore). */
  kill(): void {
    const { marks } = this.context;
    marks.hit("engine killed");
    if (this.mounts.size > 0) marks.hit("engine killed with users");
    this.strand.kill();
    for (const [callId, pending] of this.#pending) this.#abandon(callId, pending);
    this.#pending.clear();
    for (const container of this.containers.values()) container.engineDied();
  }

  /** Running containers are found again; what died meanwhile is never unmounted. */
  start(): void {
    if (this.strand.alive) return;
    this.strand = this.#begin();
    for (const container of this.containers.values()) container.engineStarted();
  }

  powerOff(): void {
    this.strand.kill();
    this.#pending.clear();
    this.mounts.clear();
    for (const container of this.containers.values()) container.phase = "stopped";
    this.containers.clear();
  }

  powerOn(): void {
    this.strand = this.#begin();
  }

  /** `docker run -v volume:/data --volume-driver flocker`. */
  run(volume: string): Container {
    const id = `c${this.machine.index}-${this.#nextContainer}`;
    this.#nextContainer += 1;
    const container = new Container(this, id, volume);
    this.containers.set(id, container);
    container.begin();
    return container;
  }

  create(name: string, then: (created: boolean) => void): void {
    this.call(
      { kind: "create", name, options: { ...noOptions, pool: poolOf(name) } },
      120_000,
      (answer) => then(answer?.kind === "ok"),
    );
  }

  get(name: string, then: (found: boolean) => void): void {
    const askedMs = this.context.nowMs;
    this.call({ kind: "get", name }, 60_000, (answer) => {
      if (answer !== null) this.around.getAnswered(name, answer, askedMs);
      then(answer?.kind === "volume");
    });
  }

  /** One call of the plugin; null: no answer within the engine's patience. */
  call(call: PluginCall, patienceMs: number, done: (answer: PluginAnswer | null) => void): void {
    const agent = this.around.agent();
    const { strand } = this;
    if (agent === null || !agent.strand.alive) {
      // The socket refuses; the engine tries again for a while, here: once more, later.
      strand.after(2_000, () => this.#again(call, done));
      return;
    }
    this.#send(agent, call, patienceMs, done);
  }

  #again(call: PluginCall, done: (answer: PluginAnswer | null) => void): void {
    const agent = this.around.agent();
    if (agent === null || !agent.strand.alive) done(null);
    else this.#send(agent, call, 60_000, done);
  }

  #send(
    agent: AgentProcess,
    call: PluginCall,
    patienceMs: number,
    done: (answer: PluginAnswer | null) => void,
  ): void {
    const callId = this.#nextCall;
    this.#nextCall += 1;
    const { strand } = this;
    this.#pending.set(callId, { call, agent, strand, done });
    agent.called(callId, call);
    strand.after(patienceMs, () => {
      const pending = this.#pending.get(callId);
      if (pending === undefined) return;
      this.#pending.delete(callId);
      this.#abandon(callId, pending);
      done(null);
    });
  }

  #abandon(callId: number, { agent, call }: Pending): void {
    if (call.kind === "mount") {
      this.context.marks.hit("mount abandoned");
      this.around.gaveUp(call.id);
    }
    if (this.around.forgetsAbandoned) return;
    agent.strand.deliver(() => agent.step({ kind: "abandoned", callId }));
  }

  /** The plugin's answer, over the socket of the process that was asked. */
  answered(callId: number, answer: PluginAnswer): void {
    const pending = this.#pending.get(callId);
    if (pending === undefined) {
      this.context.marks.hit("mount answered late");
      return;
    }
    this.#pending.delete(callId);
    this.context.clock.after(1, () => pending.strand.deliver(() => pending.done(answer)));
  }

  /** The agent's process ended: its sockets close, and the engine retries with an empty body. */
  agentDied(agent: AgentProcess): void {
    for (const [callId, pending] of this.#pending) {
      if (pending.agent !== agent) continue;
      this.#pending.delete(callId);
      if (pending.call.kind === "mount") this.around.gaveUp(pending.call.id);
      pending.strand.after(this.context.prng.between(500, 4_000), () => this.#retryEmpty(pending));
    }
  }

  #retryEmpty({ call, done }: Pending): void {
    this.context.marks.hit("empty body retried");
    const agent = this.around.agent();
    const parsed = this.around.parseEmpty(call);
    if (agent === null || !agent.strand.alive || parsed === null) {
      done(null);
      return;
    }
    const askedMs = this.context.nowMs;
    this.#send(agent, parsed, 60_000, (answer) => {
      if (parsed.kind === "get" && call.kind === "get" && answer !== null) {
        this.around.getAnswered(call.name, answer, askedMs);
      }
      done(answer);
    });
  }

  /** Whoever uses a dataset here, as far as the engine and its containers know. */
  users(dataset: string): readonly string[] {
    const running = [...this.containers.values()]
      .filter((one) => one.phase === "running" && one.superblock?.dataset === dataset)
      .map(({ id }) => id);
    const mounts = [...this.mounts].filter(([, of]) => of === dataset).map(([id]) => id);
    return [...running, ...mounts];
  }
}
