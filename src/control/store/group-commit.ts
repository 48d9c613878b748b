import { FlockerError } from "../../lib/errors.ts";
import type { StoreWrite } from "./store.ts";

export type Batch = {
  readonly writes: readonly StoreWrite[];
  readonly revision: number;
  readonly urgent: boolean;
};

/**
 * Makes a group durable with one fsync. One answer for each batch, in order: null when it is
 * durable, else why nothing of it was written. Throws when the medium failed.
 */
export type ApplyGroup = (group: readonly Batch[]) => readonly (FlockerError | null)[];

type Waiting = {
  readonly batch: Batch;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
};

/**
 * Collects the commits of one turn of the event loop and applies them together. Commits are
 * synchronous, so the queue is empty after each turn and needs no limit of its own.
 */
export class GroupCommit {
  readonly #apply: ApplyGroup;
  #waiting: Waiting[] = [];
  #failure: FlockerError | null = null;

  constructor(apply: ApplyGroup) {
    this.#apply = apply;
  }

  get failed(): boolean {
    return this.#failure !== null;
  }

  add(batch: Batch): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.flush());
      this.#waiting.push({ batch, resolve, reject });
    });
  }

  /** Applies what is waiting now. */
  flush(): void {
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length === 0) return;
    try {
      const answers = this.#apply(group.map(({ batch }) => batch));
      for (const [index, { resolve, reject }] of group.entries()) {
        const refused = answers[index] ?? null;
        if (refused === null) resolve();
        else reject(refused);
      }
    } catch (cause) {
      const failure =
        cause instanceof FlockerError
          ? cause
          : new FlockerError("STORE_FAILED", "The store cannot write.", { cause });
      this.fail(failure);
      for (const { reject } of group) reject(failure);
    }
  }

  /** From here on every commit is refused, those that wait included. */
  fail(failure: FlockerError): void {
    this.#failure ??= failure;
    const group = this.#waiting;
    this.#waiting = [];
    for (const { reject } of group) reject(failure);
  }
}
