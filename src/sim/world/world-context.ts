import { FlockerError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { Clock } from "../clock.ts";
import type { Marks } from "../marks.ts";
import { Prng } from "../prng.ts";
import type { Traits } from "../traits.ts";
import { Turns } from "../turns.ts";
import type { WorldEvent } from "./world-event.ts";

export type Watcher = (event: WorldEvent, atMs: number) => void;

/** What every part of one world shares: time, chance, faults, and those who watch it. */
export class WorldContext {
  readonly clock = new Clock();
  readonly turns = new Turns();
  readonly prng: Prng;
  readonly traits: Traits;
  readonly marks: Marks;
  /** Nothing breaks any more. */
  healed = false;
  readonly #watch: Watcher;
  readonly #trace: ((line: string) => void) | null;
  /** Rolling hash of everything that was told: equal histories have equal hashes. */
  hash = 0x811c9dc5;

  constructor(options: {
    readonly seed: number;
    readonly traits: Traits;
    readonly marks: Marks;
    readonly watch: Watcher;
    readonly trace: ((line: string) => void) | null;
  }) {
    this.prng = new Prng(options.seed);
    this.traits = options.traits;
    this.marks = options.marks;
    this.#watch = options.watch;
    this.#trace = options.trace;
  }

  get nowMs(): number {
    return this.clock.nowMs;
  }

  get tracing(): boolean {
    return this.#trace !== null;
  }

  tell(event: WorldEvent): void {
    this.#mix(event.kind);
    if ("dataset" in event) this.#mix(event.dataset);
    if ("node" in event) this.#mix(event.node);
    this.note(event.kind, event);
    this.#watch(event, this.nowMs);
  }

  /** For a person who reads one seed's history. */
  note(what: string, fields: object): void {
    if (this.#trace === null) return;
    const text = JSON.stringify(fields, (_, value: unknown) =>
      value instanceof Map || value instanceof Set ? [...value] : value,
    );
    this.#trace(`${(this.nowMs / 1000).toFixed(3).padStart(9)} ${what} ${text}`);
  }

  #mix(text: string): void {
    let hash = this.hash ^ Math.floor(this.nowMs);
    for (let index = 0; index < text.length; index += 1) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    }
    this.hash = hash >>> 0;
  }
}

const nothing = (): void => {};
export const noLog: Logger = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  child: () => noLog,
};

export function failure(
  code: ConstructorParameters<typeof FlockerError>[0],
  message: string,
): FlockerError {
  return new FlockerError(code, message);
}
