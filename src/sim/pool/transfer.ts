import type { StreamSum } from "../../backends/local.ts";
import type { Tree } from "./subvolume.ts";
import type { WorldContext } from "../world/world-context.ts";

/** What a stream carries: a whole tree, or what is other than in the base that both ends have. */
export type Payload = Tree & { readonly onBase: boolean };

const idleMsMax = 30_000;

/** One stream between two machines: it takes its time, stalls, and breaks in its middle. */
export class Transfer {
  readonly #context: WorldContext;
  readonly #blocked: () => boolean;
  #payload: Payload | null = null;
  #sender: ((whole: boolean) => void) | null = null;
  #receiver: ((arrived: Payload | null) => void) | null = null;
  #arrived: Payload | null | undefined = undefined;
  #stalledMs = 0;
  /** What its sender counted, once it has sent all. */
  sent: StreamSum | null = null;

  constructor(context: WorldContext, blocked: () => boolean) {
    this.#context = context;
    this.#blocked = blocked;
  }

  get over(): boolean {
    return this.#arrived !== undefined;
  }

  send(payload: Payload, ended: (whole: boolean) => void): void {
    if (this.over) {
      ended(false);
      return;
    }
    this.#payload = payload;
    this.#sender = ended;
    const { prng, clock } = this.#context;
    const slowMs = prng.chance(0.2) ? prng.between(2_000, 20_000) : prng.between(20, 1_500);
    clock.after(slowMs, () => this.#arrive(payload));
  }

  /** Null: it broke, and whoever receives knows it. */
  receive(arrived: (payload: Payload | null) => void): void {
    if (this.#arrived !== undefined) arrived(this.#arrived);
    else this.#receiver = arrived;
  }

  #arrive(payload: Payload): void {
    if (this.over) return;
    if (!this.#blocked()) {
      this.#end(payload, true);
      return;
    }
    this.#context.marks.hit("stream stalled");
    this.#stalledMs += 1_000;
    if (this.#stalledMs > idleMsMax) this.cut();
    else this.#context.clock.after(1_000, () => this.#arrive(payload));
  }

  /** Its connection ends: at times so that what came is taken for all of it. */
  cut(): void {
    if (this.over) return;
    const { prng, marks } = this.#context;
    marks.hit("stream cut");
    const payload = this.#payload;
    const looksWhole = payload !== null && prng.chance(0.3);
    this.#end(
      looksWhole ? { ...payload, entries: someOf(payload, prng.next()), whole: false } : null,
      false,
    );
  }

  #end(arrived: Payload | null, whole: boolean): void {
    this.#arrived = arrived;
    this.#sender?.(whole);
    this.#receiver?.(arrived);
  }
}

function someOf({ entries }: Payload, part: number): ReadonlyMap<string, number> {
  const kept = Math.floor(entries.size * part);
  return new Map([...entries].slice(0, kept));
}

/** Equal for equal streams: what both ends compare. */
export function sumOf({ entries, bulkBytes, identity, onBase }: Payload): StreamSum {
  const text = JSON.stringify([identity, onBase, bulkBytes, ...entries]);
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  const digest = (hash >>> 0).toString(16).padStart(64, "0");
  return { bytes: bulkBytes + text.length, digest };
}
