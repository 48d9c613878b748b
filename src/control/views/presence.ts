import type { NodeId } from "../../domain/ids.ts";
import type { CoreState } from "../core/core-state.ts";
import type { Session } from "../core/state.ts";

/** The old lists forget a node after this. */
export const forgetAfterMs = 120_000;

export type Heard = { readonly session: Session; readonly atMs: number };

/** When each node was last connected and what it said then; of this start alone. */
export class Presence {
  readonly #heard = new Map<NodeId, Heard>();

  /** Notes who is connected now; call it at a steady pace. */
  note(state: CoreState, nowMs: number): void {
    for (const node of state.currentOf.keys()) {
      const session = state.sessionOf(node);
      if (session !== null) this.#heard.set(node, { session, atMs: nowMs });
    }
  }

  last(node: NodeId): Heard | null {
    return this.#heard.get(node) ?? null;
  }

  /** Everybody who was connected within the time that the old lists remember. */
  recent(nowMs: number): readonly Heard[] {
    return [...this.#heard.values()]
      .filter(({ atMs }) => atMs >= nowMs - forgetAfterMs)
      .sort((a, b) => (a.session.node < b.session.node ? -1 : 1));
  }
}
