import { Transform, type TransformCallback } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

/** Bytes that all streams of a node may send in a second together; null is no limit. */
export class Throttle {
  readonly #bytesPerSecond: number | null;
  #freeAtMs = 0;

  constructor(bytesPerSecond: number | null) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /**
   * A part of one stream that passes no faster than the node's limit leaves room for, and what
   * `begun` takes.
   */
  stream(signal: AbortSignal, begun: () => Promise<void>): Transform {
    const delay = async (bytes: number): Promise<void> => {
      await this.#turn(bytes, signal);
      await begun();
    };
    return new Transform({
      transform(chunk: Buffer, _encoding, done: TransformCallback): void {
        void passed(delay(chunk.length), chunk, done);
      },
    });
  }

  async #turn(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === null) return;
    const nowMs = performance.now();
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (bytes * 1000) / this.#bytesPerSecond;
    await sleep(this.#freeAtMs - nowMs, undefined, { signal });
  }
}

async function passed(due: Promise<void>, chunk: Buffer, done: TransformCallback): Promise<void> {
  let failure: Error | null = null;
  try {
    await due;
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  done(failure, chunk);
}
