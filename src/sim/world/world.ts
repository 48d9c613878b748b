import type { Batch } from "../../control/core/state.ts";
import {
  type ClusterId,
  type DatasetId,
  type NodeId,
  parseClusterId,
  parseNodeId,
} from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { nameOf } from "../../domain/record.ts";
import { type AgentFlaws, AgentProcess } from "./agent-process.ts";
import { type ControlFlaws, ControlProcess } from "./control-process.ts";
import { Engine } from "./engine.ts";
import { Machine } from "./machine.ts";
import { Connection, Network } from "./network.ts";
import type { Peer } from "../pool/model-peers.ts";
import { Storage } from "./storage.ts";
import { StoreMedium } from "./store-medium.ts";
import { Witness } from "./witness.ts";
import type { WorldContext } from "./world-context.ts";
import type { PluginCall } from "../../agent/core/plugin-call.ts";

/** Every way in which a shell or an injected dependency can be wrong; empty in honest runs. */
export type Flaws = {
  readonly agent: AgentFlaws;
  readonly control: ControlFlaws;
  readonly parseEmpty?: (call: PluginCall) => PluginCall | null;
  readonly forgetsAbandoned?: boolean;
  /** A restored backup bears no mark. */
  readonly trustsBackups?: boolean;
  /** A copied store does not ask whether the other one still runs. */
  readonly trustsCopies?: boolean;
};

export const noFlaws: Flaws = { agent: {}, control: {} };

/** One host of the world with what runs on it. */
export class Host {
  readonly machine: Machine;
  readonly engine: Engine;
  agent: AgentProcess | null = null;
  /** The agent stays down until somebody starts it. */
  agentOff = false;

  constructor(machine: Machine, engine: Engine) {
    this.machine = machine;
    this.engine = engine;
  }

  get node(): NodeId {
    return this.machine.node;
  }
}

/** The whole model: machines, one control service, one storage, the network between them. */
export class World {
  readonly context: WorldContext;
  readonly flaws: Flaws;
  readonly network = new Network();
  readonly storage: Storage;
  readonly witness: Witness;
  readonly hosts: Host[] = [];
  /** Machines that use the certificate of one of the hosts. */
  readonly clones: Host[] = [];
  readonly clusterId: ClusterId;
  /** Local datasets of which a disk lost what it had acknowledged: a person has to help. */
  readonly damaged = new Set<DatasetId>();
  medium: StoreMedium;
  control: ControlProcess | null = null;
  /** A second control service on a copy of the store. */
  twin: ControlProcess | null = null;
  /** Who forgot what it knew in this history. Both at once would be two independent failures. */
  forgets: "store" | "node" | null = null;
  wallOffsetMs = 1_700_000_000_000;
  #nextConnection = 1;

  constructor(context: WorldContext, flaws: Flaws) {
    this.context = context;
    this.flaws = flaws;
    this.clusterId = parseClusterId(context.prng.uuid());
    this.medium = new StoreMedium(context.prng.uuid(), this.clusterId);
    this.storage = new Storage(context);
    this.witness = new Witness(this);
    this.storage.onAttachment = (era, ref, attached) => {
      const machine = this.#machines().find(({ bootId }) => bootId === era);
      if (machine?.powered !== true) return;
      if (attached) machine.kernel.plug(ref);
      else machine.kernel.unplug(ref);
    };
    this.storage.onForcedDetach = (node, volume) => {
      const kernel = this.host(node)?.machine.kernel;
      const open = kernel === undefined || kernel.dead ? [] : kernel.open(volume.dataset);
      const mounted = open.some(({ dead }) => !dead);
      context.tell({ kind: "attachment_taken", dataset: volume.dataset, node, mounted });
    };
    for (let index = 1; index <= context.traits.nodes; index += 1) {
      this.hosts.push(this.#host(parseNodeId(context.prng.uuid()), { index }));
    }
  }

  /** Its disks are copied, and its copy is started beside it. */
  clone({ machine: { certificate, disk, index } }: Host): Host {
    const node = parseNodeId(this.context.prng.uuid());
    const clone = this.#host(node, { index: index + 10, certificate });
    clone.machine.disk = { ...disk };
    this.clones.push(clone);
    this.powerOn(clone);
    return clone;
  }

  #machines(): readonly Machine[] {
    return [...this.hosts, ...this.clones].map(({ machine }) => machine);
  }

  #host(node: NodeId, at: { readonly index: number; readonly certificate?: NodeId }): Host {
    const { context, storage } = this;
    const machine = new Machine(context, storage, { node, ...at });
    const engine = new Engine(machine, {
      agent: () => this.host(node)?.agent ?? null,
      datasetAt: (path) => path.slice("/flocker/".length),
      getAnswered: (name, answer, askedMs) => this.witness.getAnswered(node, name, answer, askedMs),
      gaveUp: (mountId) => this.witness.gaveUp(node, mountId),
      parseEmpty: (call) => this.flaws.parseEmpty?.(call) ?? null,
      forgetsAbandoned: this.flaws.forgetsAbandoned ?? false,
    });
    return new Host(machine, engine);
  }

  host(node: string): Host | undefined {
    return [...this.hosts, ...this.clones].find((host) => host.node === node);
  }

  start(): void {
    this.startControl();
    for (const host of this.hosts) this.powerOn(host);
  }

  startControl(): void {
    if (this.control?.strand.alive === true) return;
    const { context } = this;
    this.control = new ControlProcess(context, this.medium, {
      wallMs: this.wallOffsetMs + context.nowMs,
      flaws: this.flaws.control,
      events: {
        created: (dataset) => this.witness.created(dataset),
        durable: (batch) => this.#durable(batch),
      },
    });
    this.witness.storeOpened(this.medium);
  }

  killControl(): void {
    const { control } = this;
    if (control === null) return;
    this.context.marks.hit("control killed");
    this.control = null;
    this.#endControl(control);
  }

  /** The store is copied while it is down, and both are started: in the same term. */
  startTwin(): void {
    if (this.twin !== null) return;
    const { context } = this;
    const medium = this.medium.copy();
    this.killControl();
    this.startControl();
    if (this.flaws.trustsCopies !== true) {
      context.marks.hit("store copy read-only");
      const message = "This store was copied from another machine: flocker control recover";
      medium.readOnly = { kind: "read_only", code: "TWO_CONTROL_SERVICES", message };
    }
    this.twin = new ControlProcess(context, medium, {
      wallMs: this.wallOffsetMs + context.nowMs,
      flaws: this.flaws.control,
      events: {
        created: () => {},
        durable: (batch) => {
          for (const write of batch.writes) {
            if (write.kind === "record") this.witness.twinDurable(write.record);
          }
        },
      },
    });
  }

  killTwin(): void {
    if (this.twin !== null) this.#endControl(this.twin);
    this.twin = null;
  }

  #endControl(control: ControlProcess): void {
    control.kill();
    for (const connection of control.connections.values()) this.#resetAtAgent(connection);
  }

  powerOn(host: Host): void {
    if (host.machine.powered || host.machine.lost) return;
    host.machine.powerOn();
    host.engine.powerOn();
    host.agentOff = false;
    this.startAgent(host);
  }

  powerOff(host: Host): void {
    if (!host.machine.powered) return;
    this.context.marks.hit("node crashed");
    host.engine.powerOff();
    this.#endAgent(host);
    host.machine.powerOff();
    this.storage.cutOff(host.node, false);
  }

  startAgent(host: Host): void {
    if (!host.machine.powered || host.agent !== null) return;
    host.agent = new AgentProcess(host.machine, {
      clusterId: this.clusterId,
      flaws: this.flaws.agent,
      dial: (agent) => this.#dial(host, agent),
      users: (dataset) => host.engine.users(dataset),
      answered: (callId, answer) => host.engine.answered(callId, answer),
      claimHeard: (record) => this.witness.claimHeard(host.node, record),
      namesHeard: (entries) => this.witness.namesHeard(host.node, entries),
      persisted: () => {},
      peers: {
        reach: (from, name) => this.#peerAt(from, name),
        blocked: (from, to) => this.network.parted(from, to),
      },
    });
  }

  killAgent(host: Host): void {
    const { agent } = host;
    if (agent === null) return;
    const { marks } = this.context;
    marks.hit("agent killed");
    if (host.machine.locks.size > 0) marks.hit("agent killed while a child works");
    this.#endAgent(host);
    host.engine.agentDied(agent);
  }

  #endAgent(host: Host): void {
    const { agent } = host;
    if (agent === null) return;
    host.agent = null;
    const { connection } = agent;
    agent.kill();
    if (connection !== null && host.machine.strand.running) this.#resetAtControl(connection);
  }

  #peerAt(from: string, name: string): Peer | null {
    const host = this.hosts.find(({ machine }) => `h${machine.index}` === name);
    if (host?.machine.powered !== true || this.network.parted(from, host.node)) return null;
    return host.agent?.local ?? null;
  }

  #dial(host: Host, agent: AgentProcess): Connection | null {
    const { network, context } = this;
    // Its name leads to one of the two machines.
    const control = this.twin !== null && context.prng.chance(0.5) ? this.twin : this.control;
    if (control === null || !control.strand.alive || !network.reachable(host.node)) return null;
    const id = `k${this.#nextConnection}`;
    this.#nextConnection += 1;
    const connection: Connection = new Connection(
      context,
      { id, node: host.node, network, hearsClosed: this.flaws.control.hearsClosed ?? false },
      {
        agent: {
          received: (message) => agent.received(connection, message),
          closed: () => {
            agent.closed(connection);
            this.#resetAtControl(connection);
          },
        },
        control: {
          received: (message) =>
            control.strand.deliver(() => control.received(connection, message)),
          closed: () => {
            control.strand.deliver(() => control.closed(connection));
            this.#resetAtAgent(connection);
          },
        },
      },
    );
    network.connections.add(connection);
    control.accept(connection, host.node);
    return connection;
  }

  /** The other end hears of an end if the network lets it; else only silence tells. */
  #resetAtControl(connection: Connection): void {
    this.#later(connection, () => connection.closeAtControl());
  }

  #resetAtAgent(connection: Connection): void {
    this.#later(connection, () => connection.closeAtAgent());
  }

  #later(connection: Connection, close: () => void): void {
    const { clock, prng, marks } = this.context;
    if (!this.network.reachable(connection.node) || prng.chance(0.1)) {
      marks.hit("connection half open");
      clock.after(60_000, close);
      return;
    }
    clock.after(prng.between(1, 30), close);
    clock.after(100_000, () => this.network.forget(connection));
  }

  #durable(batch: Batch): void {
    for (const write of batch.writes) {
      if (write.kind === "record") this.witness.recordDurable(write.record);
      if (write.kind === "recovered") this.witness.recovered();
    }
  }

  /** Live records as they are durable, sorted: what a person sees who asks. */
  records(): readonly DatasetRecord[] {
    return [...this.medium.records.values()].sort((a, b) => (a.datasetId < b.datasetId ? -1 : 1));
  }

  recordNamed(name: string): DatasetRecord | undefined {
    return this.records().find((record) => record.deletion === null && nameOf(record) === name);
  }

  /** By our own two mounts; what containers and open files keep is the writers' checker's. */
  mountedOn(dataset: DatasetId): readonly string[] {
    return this.hosts
      .filter(({ machine: { powered, kernel } }) => {
        const mount = kernel.mounted(dataset, "volume") ?? kernel.mounted(dataset, "shown");
        return powered && mount !== null && !mount.dead;
      })
      .map(({ node }) => node);
  }

  shownOn(dataset: DatasetId): readonly string[] {
    return this.hosts
      .filter(({ machine }) => machine.powered && machine.kernel.mounted(dataset, "shown") !== null)
      .map(({ node }) => node);
  }
}
