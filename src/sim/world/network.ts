import type { AgentMessage, ControlMessage } from "../../protocol/agent-messages.ts";
import type { WorldContext } from "./world-context.ts";

/** Answered with the same number: an old message cannot stand for a sign of life. */
export type Ping = { readonly kind: "ping"; readonly nonce: number };
export type ToControl = AgentMessage | Ping;
export type ToAgent = ControlMessage | Ping;

export type End<M> = {
  readonly received: (message: M) => void;
  /** The peer, or the network, closed it. */
  readonly closed: () => void;
};

/** One direction of a connection: ordered, delayed, held back while the network is cut. */
class Stream<M> {
  readonly #context: WorldContext;
  readonly #blocked: () => boolean;
  readonly #deliver: (message: M) => void;
  #lastMs = 0;
  #held: M[] = [];
  #flying = 0;

  constructor(context: WorldContext, blocked: () => boolean, deliver: (message: M) => void) {
    this.#context = context;
    this.#blocked = blocked;
    this.#deliver = deliver;
  }

  send(message: M): void {
    const { clock, prng, traits } = this.#context;
    const delayMs = prng.between(1, prng.chance(0.9) ? 5 : traits.messageDelayMsMax);
    this.#lastMs = Math.max(this.#lastMs, clock.nowMs + delayMs);
    this.#flying += 1;
    clock.after(this.#lastMs - clock.nowMs, () => {
      this.#flying -= 1;
      if (this.#blocked() || this.#held.length > 0) this.#held.push(message);
      else this.#deliver(message);
    });
  }

  /** Nothing that was sent is still on its way. */
  get idle(): boolean {
    return this.#flying === 0 && this.#held.length === 0;
  }

  /** The network is whole again: what was held back arrives. */
  flush(): void {
    const held = this.#held;
    this.#held = [];
    for (const message of held) this.#deliver(message);
  }
}

/** A connection of one agent's process to one control service. Each end learns of its end alone. */
export class Connection {
  readonly id: string;
  readonly node: string;
  readonly toControl: Stream<ToControl>;
  readonly toAgent: Stream<ToAgent>;
  openAtAgent = true;
  openAtControl = true;
  /** Something on the way holds back what the agent says, on this connection alone. */
  stalled = false;
  readonly #agent: End<ToAgent>;
  readonly #control: End<ToControl>;

  constructor(
    context: WorldContext,
    at: {
      readonly id: string;
      readonly node: string;
      readonly network: Network;
      readonly hearsClosed: boolean;
    },
    ends: { readonly agent: End<ToAgent>; readonly control: End<ToControl> },
  ) {
    this.id = at.id;
    this.node = at.node;
    this.#agent = ends.agent;
    this.#control = ends.control;
    const { network, node } = at;
    this.toControl = new Stream(
      context,
      () => this.stalled || network.blocked(node, "toControl"),
      (message) => {
        if (this.openAtControl || at.hearsClosed) this.#control.received(message);
        else if (network.isReplaced(this)) context.marks.hit("message of an older session");
      },
    );
    this.toAgent = new Stream(
      context,
      () => network.blocked(node, "toAgent"),
      (message) => {
        if (this.openAtAgent) this.#agent.received(message);
      },
    );
  }

  unstall(): void {
    this.stalled = false;
    this.toControl.flush();
  }

  closeAtAgent(): void {
    if (!this.openAtAgent) return;
    this.openAtAgent = false;
    this.#agent.closed();
  }

  closeAtControl(): void {
    if (!this.openAtControl) return;
    this.openAtControl = false;
    this.#control.closed();
  }
}

export type Direction = "toControl" | "toAgent";

/** Who cannot reach whom at this instant. */
export class Network {
  readonly connections = new Set<Connection>();
  readonly #blocks = new Map<string, Set<Direction>>();
  /** Nodes that other nodes cannot reach, whatever the control service can. */
  readonly #alone = new Set<string>();

  /** Its node speaks over another one by now. */
  isReplaced({ node, id }: Connection): boolean {
    return [...this.connections].some(
      (one) => one.node === node && one.id !== id && one.openAtControl,
    );
  }

  isolate(node: string, alone: boolean): void {
    if (alone) this.#alone.add(node);
    else this.#alone.delete(node);
  }

  /** Between two nodes. */
  parted(a: string, b: string): boolean {
    return this.#alone.has(a) || this.#alone.has(b);
  }

  blocked(node: string, direction: Direction): boolean {
    return this.#blocks.get(node)?.has(direction) ?? false;
  }

  reachable(node: string): boolean {
    return (this.#blocks.get(node)?.size ?? 0) === 0;
  }

  cut(node: string, directions: readonly Direction[]): void {
    this.#blocks.set(node, new Set(directions));
  }

  heal(node: string): void {
    if (!this.#blocks.delete(node)) return;
    for (const connection of this.connections) {
      if (connection.node !== node) continue;
      connection.toControl.flush();
      connection.toAgent.flush();
    }
  }

  of(node: string): readonly Connection[] {
    return [...this.connections].filter((connection) => connection.node === node);
  }

  forget(connection: Connection): void {
    if (!connection.openAtAgent && !connection.openAtControl) this.connections.delete(connection);
  }
}
