import { ControlCore } from "../../control/core/control-core.ts";
import type { CoreOptions } from "../../control/core/core-state.ts";
import type { Batch, CoreOutput } from "../../control/core/state.ts";
import type { DatasetId, NodeId } from "../../domain/ids.ts";
import { FlockerError } from "../../lib/errors.ts";
import { unreachable } from "../../lib/assert.ts";
import { Strand } from "../clock.ts";
import type { Connection, ToControl } from "./network.ts";
import type { StoreMedium } from "./store-medium.ts";
import type { WorldContext } from "./world-context.ts";

/** Where a control service could be wrong without a line of the core being so. */
export type ControlFlaws = {
  readonly step?: CoreOptions["step"];
  /** Pushes leave before their commit is durable. */
  readonly pushesEarly?: boolean;
  /** Answers leave before their commit is durable. */
  readonly answersEarly?: boolean;
  /** What comes over a connection that was closed is heard all the same. */
  readonly hearsClosed?: boolean;
  /** A sync that failed is taken for one that did not. */
  readonly ignoresFailedSync?: boolean;
  readonly started?: (process: ControlProcess) => void;
  /** Wraps the core: what it is told. */
  readonly receive?: (
    process: ControlProcess,
    connection: Connection,
    message: Exclude<ToControl, { readonly kind: "ping" }>,
  ) => void;
};

export type ControlEvents = {
  /** Every live session has stored the name, and it is durable. */
  readonly created: (dataset: DatasetId) => void;
  readonly durable: (batch: Batch) => void;
};

type Commit = { readonly batch: Batch; readonly answers: readonly (() => void)[] };

const pingMs = 5_000;
const deadMs = 15_000;
const probeMs = 3_000;

/** One process of the control service: the production core with a small shell around it. */
export class ControlProcess {
  readonly strand: Strand;
  readonly core: ControlCore;
  readonly medium: StoreMedium;
  readonly connections = new Map<string, Connection>();
  /** Whose every connection was, open or not. */
  readonly nodeOf = new Map<string, NodeId>();
  readonly #context: WorldContext;
  readonly #flaws: ControlFlaws;
  readonly #events: ControlEvents;
  readonly #heardAtMs = new Map<string, number>();
  readonly #answeredProbes = new Set<number>();
  readonly #offsetMs: number;
  #nextProbe = 0;
  #queue: Commit[] = [];
  #syncing: readonly Commit[] = [];

  constructor(
    context: WorldContext,
    medium: StoreMedium,
    options: {
      readonly wallMs: number;
      readonly flaws: ControlFlaws;
      readonly events: ControlEvents;
    },
  ) {
    this.#context = context;
    this.medium = medium;
    this.#flaws = options.flaws;
    this.#events = options.events;
    this.strand = new Strand(context.clock);
    this.#offsetMs = options.wallMs - context.nowMs;
    const { step } = options.flaws;
    this.core = new ControlCore({
      contents: medium.open(context.prng.uuid()),
      nowMs: this.nowMs,
      newId: () => context.prng.uuid(),
      ...(step === undefined ? {} : { step }),
    });
    this.#pump([]);
    this.strand.every(500, () => this.run((core) => core.tick(this.nowMs)));
    this.strand.every(pingMs, () => this.#ping());
    options.flaws.started?.(this);
  }

  /** Wall clock at the start of the process, then monotonic. */
  get nowMs(): number {
    return this.#context.nowMs + this.#offsetMs;
  }

  accept(connection: Connection, node: NodeId): void {
    this.nodeOf.set(connection.id, node);
    this.connections.set(connection.id, connection);
    this.#heardAtMs.set(connection.id, this.#context.nowMs);
  }

  received(connection: Connection, message: ToControl): void {
    this.#heardAtMs.set(connection.id, this.#context.nowMs);
    if (message.kind === "ping") {
      this.#answeredProbes.add(message.nonce);
      return;
    }
    this.#noteOld(connection, message);
    const { receive } = this.#flaws;
    if (receive === undefined) {
      this.run((core) => core.receive(connection.id, message, this.nowMs));
    } else receive(this, connection, message);
  }

  /** A newer session of its node has begun: nothing of this one counts. */
  #noteOld({ id }: Connection, { kind }: ToControl): void {
    const { state } = this.core;
    const node = this.nodeOf.get(id);
    const current = node === undefined ? undefined : state.currentOf.get(node);
    const isOld = current !== undefined && current !== id && !state.pendingHellos.has(id);
    if (isOld && kind !== "hello") this.#context.marks.hit("message of an older session");
  }

  closed(connection: Connection): void {
    if (!this.connections.delete(connection.id)) return;
    this.run((core) => core.disconnected(connection.id, this.nowMs));
  }

  /** A call of the core; what follows from it leaves after its commit. Null: it refused. */
  run<T>(call: (core: ControlCore) => T, then?: (value: T) => void): FlockerError | null {
    try {
      const value = call(this.core);
      this.#pump(then === undefined ? [] : [() => then(value)]);
      return null;
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error;
      this.#pump([]);
      return error;
    }
  }

  /** Power cut: of the group that is being synced, any part from its beginning may be there. */
  kill(): void {
    this.strand.kill();
    if (this.#syncing.length > 0) {
      this.#context.marks.hit("control power cut inside group commit");
      const kept = this.#context.prng.between(0, this.#syncing.length);
      if (kept > 0) this.#context.marks.hit("commit stored, nobody told");
      for (const { batch } of this.#syncing.slice(0, kept)) this.#store(batch);
    }
    this.#queue = [];
    this.#syncing = [];
    for (const connection of this.connections.values()) connection.openAtControl = false;
  }

  #pump(then: readonly (() => void)[]): void {
    const batch = this.core.drain();
    const { pushesEarly, answersEarly } = this.#flaws;
    let { outputs } = batch;
    if (pushesEarly === true || answersEarly === true) {
      const early = (output: CoreOutput): boolean =>
        output.kind === "created" ? answersEarly === true : pushesEarly === true;
      for (const output of outputs.filter((one) => early(one))) this.#output(output);
      outputs = outputs.filter((one) => !early(one));
    }
    if (answersEarly === true) for (const answer of then) answer();
    const later = answersEarly === true ? [] : then;
    this.#queue.push({ batch: { ...batch, outputs }, answers: later });
    if (this.#syncing.length === 0) this.#sync();
  }

  #sync(): void {
    this.#syncing = this.#queue;
    this.#queue = [];
    if (this.#syncing.length === 0) return;
    const nothing = this.#syncing.every(({ batch }) => batch.writes.length === 0);
    const end = (): void => this.#synced();
    if (nothing) end();
    else this.strand.after(this.#context.prng.between(1, this.#context.traits.syncMsMax), end);
  }

  #synced(): void {
    const group = this.#syncing;
    for (const { batch } of group) this.#store(batch);
    this.#syncing = [];
    for (const { batch, answers } of group) {
      for (const output of batch.outputs) this.#output(output);
      for (const answer of answers) answer();
    }
    if (this.#syncing.length === 0) this.#sync();
  }

  #store(batch: Batch): void {
    if (batch.writes.length === 0) return;
    if (this.#flaws.ignoresFailedSync === true && this.#context.prng.chance(0.05)) return;
    this.medium.apply(batch.writes, batch.revision);
    this.#events.durable(batch);
  }

  #output(output: CoreOutput): void {
    switch (output.kind) {
      case "send":
        this.connections.get(output.connection)?.toAgent.send(output.message);
        break;
      case "close":
        this.connections.get(output.connection)?.closeAtControl();
        break;
      case "probe":
        this.#probe(output.connection);
        break;
      case "created":
        this.#events.created(output.datasetId);
        break;
      case "log":
        if (this.#context.tracing) this.#context.note(`control ${output.event}`, output.fields);
        break;
      default:
        unreachable(output);
    }
  }

  #probe(id: string): void {
    this.#nextProbe += 1;
    const nonce = this.#nextProbe;
    this.connections.get(id)?.toAgent.send({ kind: "ping", nonce });
    this.strand.after(probeMs, () => {
      const alive = this.#answeredProbes.delete(nonce) && this.connections.has(id);
      this.run((core) => core.probed(id, alive, this.nowMs));
    });
  }

  #ping(): void {
    for (const [id, connection] of this.connections) {
      if ((this.#heardAtMs.get(id) ?? 0) + deadMs < this.#context.nowMs) {
        connection.closeAtControl();
      } else connection.toAgent.send({ kind: "ping", nonce: 0 });
    }
  }
}
