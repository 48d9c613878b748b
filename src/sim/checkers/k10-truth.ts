import type { WorldEvent } from "../world/world-event.ts";
import type { Checker } from "./checker.ts";

type Read = Extract<WorldEvent, { readonly kind: "condition_read" }>;

/**
 * How long a sentence may stand after it ceased to be so. What a node sees of itself it says at
 * once; of the storage nobody tells it, and it asks again at its own pace.
 */
const ceasedMs = { held: 2_000, unused: 2_000, attached: 20_000 } as const;
/** Reads further apart than this are no lasting sentence. */
const gapMs = 1_000;

/** What a condition says of a connected node is so in the world, or was a moment ago. */
export class Truth implements Checker {
  readonly name = "K10";
  judged = 0;
  readonly #untrue = new Map<string, { readonly sinceMs: number; atMs: number }>();

  see(event: WorldEvent, atMs: number): string | null {
    if (event.kind !== "condition_read") return null;
    this.judged += 1;
    const { dataset, node, says } = event;
    const key = `${dataset} ${node} ${JSON.stringify(says)}`;
    if (isTrue(event) || !event.heard) {
      this.#untrue.delete(key);
      return null;
    }
    const known = this.#untrue.get(key);
    if (known === undefined || known.atMs < atMs - gapMs) {
      this.#untrue.set(key, { sinceMs: atMs, atMs });
      return null;
    }
    known.atMs = atMs;
    return atMs - known.sinceMs <= ceasedMs[says.kind]
      ? null
      : `of ${dataset} on ${node} it is said, for ${atMs - known.sinceMs} ms: ${textOf(event)}`;
  }
}

function isTrue({ says, holders, attachedTo }: Read): boolean {
  if (says.kind === "attached") return says.to === attachedTo;
  if (says.kind === "unused") return holders.every(({ isUser }) => !isUser);
  return holders.some(({ name }) => name.startsWith(says.by));
}

function textOf({ says, holders, attachedTo }: Read): string {
  const who = holders.map(({ name }) => name).join(", ") || "nobody";
  if (says.kind === "attached") {
    return `attached to ${says.to}; it is attached to ${attachedTo ?? "nobody"}`;
  }
  return says.kind === "unused"
    ? `nobody uses it; ${who} does`
    : `held by ${says.by}; held by ${who}`;
}
