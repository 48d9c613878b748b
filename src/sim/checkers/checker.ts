import type { WorldEvent } from "../world/world-event.ts";

/** Stands outside: sees what happens in the world, and says what must never happen. */
export interface Checker {
  readonly name: string;
  /** How often it had something to judge. */
  judged: number;
  /** A sentence when the law is broken. */
  see(event: WorldEvent, atMs: number): string | null;
}
