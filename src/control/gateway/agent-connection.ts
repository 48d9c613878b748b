import type { WebSocket } from "ws";
import type { NodeId } from "../../domain/ids.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { AgentMessage, ControlMessage } from "../../protocol/agent-messages.ts";
import { parseAgentMessage } from "../../protocol/agent-schema.ts";
import type { GatewayLimits } from "./gateway-limits.ts";
import { MessageRate } from "./message-rate.ts";

export type ConnectionOptions = {
  readonly id: string;
  readonly socket: WebSocket;
  /** Of the certificate: the only node that this peer may speak for. */
  readonly nodeId: NodeId;
  readonly limits: GatewayLimits;
  readonly log: Logger;
  readonly received: (message: AgentMessage) => void;
  readonly probed: (alive: boolean) => void;
  readonly closed: () => void;
};

/**
 * One agent's WebSocket. What it hands on is valid, begins with a hello, and speaks for the node of
 * the certificate; a peer that breaks this is told so and closed. A peer that does not answer or
 * does not read is dropped: it connects again and is brought up to date.
 */
export class AgentConnection {
  readonly #options: ConnectionOptions;
  readonly #rate: MessageRate;
  readonly #greeted: NodeJS.Timeout;
  #probe: { readonly timer: NodeJS.Timeout; readonly token: string } | null = null;
  #probes = 0;
  /** Our own beats since the peer was last heard: a pause of this process is no silence of it. */
  #beatsUnheard = 0;
  #hasSaidHello = false;
  #hasGreeted = false;
  #isEnding = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { socket, limits } = options;
    this.#rate = new MessageRate(limits, socket);
    this.#greeted = setTimeout(
      () => this.#refuse("The agent said no hello in time."),
      limits.helloMsMax,
    );
    socket.on("message", (data, isBinary) => this.#message(data, isBinary));
    socket.on("pong", (data) => this.#pong(data));
    socket.on("error", (error) => this.#broken(error));
    socket.on("close", () => this.#closed());
  }

  get id(): string {
    return this.#options.id;
  }

  /** Whether the agent was welcomed or refused; until then it counts as saying hello. */
  get isGreeted(): boolean {
    return this.#hasGreeted;
  }

  send(message: ControlMessage): void {
    const { socket, limits } = this.#options;
    if (this.#isEnding || socket.readyState !== socket.OPEN) return;
    if (message.kind === "welcome" || message.kind === "refused") this.#hasGreeted = true;
    socket.send(JSON.stringify(message));
    if (socket.bufferedAmount > limits.unsentBytesMax) this.#drop("it does not read");
  }

  /** Asks for a sign of life; the answer, or its absence, is `probed`. */
  probe(): void {
    const { socket, limits, probed } = this.#options;
    if (this.#isEnding || socket.readyState !== socket.OPEN) {
      queueMicrotask(() => probed(false));
      return;
    }
    if (this.#probe !== null) return;
    const token = `probe-${(this.#probes += 1)}`;
    const timer = setTimeout(() => this.#endProbe(false), limits.probeMsMax);
    this.#probe = { timer, token };
    socket.ping(token);
  }

  /** Called at a steady pace; a peer that lets several pass unanswered is dead. */
  beat(): void {
    const { socket, limits } = this.#options;
    if (socket.readyState !== socket.OPEN) return;
    if (this.#beatsUnheard >= limits.beatsUnheardMax) {
      this.#drop("it does not answer");
      return;
    }
    this.#beatsUnheard += 1;
    socket.ping();
  }

  /** Closes after what was sent has left, within a limit. */
  end(reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { socket, limits } = this.#options;
    // 1008: policy; the reason is at most 123 bytes. (RFC 6455, 5.5 and 7.4)
    socket.close(1008, reason.slice(0, 120));
    const timer = setTimeout(() => socket.terminate(), limits.closeMsMax);
    socket.once("close", () => clearTimeout(timer));
  }

  #message(data: WebSocket.RawData, isBinary: boolean): void {
    this.#beatsUnheard = 0;
    if (this.#isEnding) return;
    this.#rate.count();
    try {
      if (isBinary) throw new FlockerError("PROTOCOL_ERROR", "Messages are text, not binary.");
      this.#options.received(this.#checked(parseAgentMessage(textOf(data))));
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error;
      this.#refuse(error.message);
    }
  }

  #checked(message: AgentMessage): AgentMessage {
    const { nodeId } = this.#options;
    if (message.kind === "hello") {
      clearTimeout(this.#greeted);
      this.#hasSaidHello = true;
      if (message.node === nodeId) return message;
      throw new FlockerError(
        "PROTOCOL_ERROR",
        `The certificate of node ${nodeId} does not speak for node ${message.node}. Give each ` +
          "machine its own node.crt and node.key.",
      );
    }
    if (this.#hasSaidHello) return message;
    throw new FlockerError(
      "PROTOCOL_ERROR",
      `A message of kind ${message.kind} came before the hello.`,
    );
  }

  #refuse(message: string): void {
    if (this.#isEnding) return;
    this.#options.log.warn("connection.refused", { reason: message });
    this.send({ kind: "refused", code: "PROTOCOL_ERROR", message });
    this.end("PROTOCOL_ERROR");
  }

  #pong(data: Buffer): void {
    this.#beatsUnheard = 0;
    if (this.#probe !== null && data.toString() === this.#probe.token) this.#endProbe(true);
  }

  #endProbe(alive: boolean): void {
    if (this.#probe === null) return;
    clearTimeout(this.#probe.timer);
    this.#probe = null;
    this.#options.probed(alive);
  }

  #drop(reason: string): void {
    this.#options.log.warn("connection.dropped", { reason });
    this.#isEnding = true;
    this.#options.socket.terminate();
  }

  /** The WebSocket closes itself after this: too large a message, not a frame, a reset. */
  #broken(error: Error): void {
    this.#options.log.warn("connection.failed", { reason: error.message });
    this.#isEnding = true;
  }

  #closed(): void {
    clearTimeout(this.#greeted);
    if (this.#probe !== null) clearTimeout(this.#probe.timer);
    this.#probe = null;
    this.#rate.stop();
    this.#isEnding = true;
    this.#options.closed();
  }
}

function textOf(data: WebSocket.RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return Buffer.isBuffer(data) ? data.toString("utf8") : Buffer.from(data).toString("utf8");
}
