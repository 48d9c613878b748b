import type { WebSocket } from "ws";
import type { GatewayLimits } from "./gateway-limits.ts";

/** A bucket of messages: an agent that emptied it is not read from until it has filled a little. */
export class MessageRate {
  readonly #limits: GatewayLimits;
  readonly #socket: WebSocket;
  #left: number;
  #filledAtMs = performance.now();
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: GatewayLimits, socket: WebSocket) {
    this.#limits = limits;
    this.#socket = socket;
    this.#left = limits.messagesBurst;
  }

  count(): void {
    const { messagesBurst, messagesPerSecond } = this.#limits;
    const nowMs = performance.now();
    const filled = ((nowMs - this.#filledAtMs) / 1_000) * messagesPerSecond;
    this.#left = Math.min(messagesBurst, this.#left + filled) - 1;
    this.#filledAtMs = nowMs;
    if (this.#left > 0 || this.#timer !== null) return;
    this.#socket.pause();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#socket.resume();
    }, 100);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
