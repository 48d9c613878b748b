import type { ConnectionOptions } from "node:tls";
import { WebSocket } from "ws";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { AgentMessage, ControlMessage } from "../protocol/agent-messages.ts";
import { agentPath, parseControlMessage } from "../protocol/agent-schema.ts";

export type ChannelOptions = {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions;
  readonly log: Logger;
  readonly onOpen: () => void;
  readonly onClose: () => void;
  readonly onMessage: (message: ControlMessage) => void;
  /** 0 ≤ random < 1, for the jitter of the dials. */
  readonly random: () => number;
};

/** The control service pings every 5 s; three missed pings mean that the way is gone. */
const silenceMsMax = 15_000;
const dialMsMax = 10_000;
const retryMsMin = 250;
const retryMsMax = 10_000;
const messageBytesMax = 64 << 20;

/**
 * The connection to the control service: dialled by the agent, again and again, never the reverse.
 * One JSON object a frame. After `onClose` nothing of the old connection is delivered any more.
 */
export class Channel implements AsyncDisposable {
  readonly #options: ChannelOptions;
  #socket: WebSocket | null = null;
  #failures = 0;
  #stopped = false;
  #retry: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  #lastError = "";

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#dial();
  }

  send(message: AgentMessage): void {
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  /** Ends this connection; the next dial follows after a pause. */
  disconnect(): void {
    this.#failures = Math.max(this.#failures, 4);
    this.#socket?.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#socket?.terminate();
  }

  #dial(): void {
    const { host, port, tls } = this.#options;
    const socket = new WebSocket(`wss://${host}:${port}${agentPath}`, {
      ...tls,
      perMessageDeflate: false,
      handshakeTimeout: dialMsMax,
      maxPayload: messageBytesMax,
    });
    this.#socket = socket;
    let opened = false;
    socket.on("open", () => {
      opened = true;
      this.#failures = 0;
      this.#lastError = "";
      this.#heard();
      this.#options.log.info("channel.opened", { host, port });
      this.#options.onOpen();
    });
    socket.on("ping", () => this.#heard());
    socket.on("message", (data: Buffer) => {
      this.#heard();
      this.#deliver(data.toString("utf8"));
    });
    socket.on("error", (error) => this.#failed(error));
    socket.on("close", () => {
      if (this.#silence !== null) clearTimeout(this.#silence);
      if (opened && !this.#stopped) {
        this.#options.log.info("channel.closed", { host, port });
        this.#options.onClose();
      }
      this.#again();
    });
  }

  #deliver(text: string): void {
    let message: ControlMessage;
    try {
      message = parseControlMessage(text);
    } catch (error) {
      this.#options.log.warn("message.refused", { err: messageOf(error) });
      this.disconnect();
      return;
    }
    this.#options.onMessage(message);
  }

  /** Logged once per cause: a control service that is away for an hour is one line. */
  #failed(error: Error): void {
    if (error.message === this.#lastError) return;
    this.#lastError = error.message;
    const { host, port, log } = this.#options;
    log.warn("channel.failed", { host, port, err: error.message });
  }

  #heard(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#socket?.terminate(), silenceMsMax);
  }

  #again(): void {
    if (this.#stopped) return;
    const span = Math.min(retryMsMin * 2 ** Math.min(this.#failures, 8), retryMsMax);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#dial(), span * (0.5 + this.#options.random()));
  }
}
