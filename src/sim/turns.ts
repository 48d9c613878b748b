import { assert } from "../lib/assert.ts";

const turnsMax = 1_000;

/**
 * Makes asynchronous production code a part of the deterministic history: after each event of the
 * clock every promise that can go on does so, before the next event.
 */
export class Turns {
  #running = 0;
  #broken: { readonly error: unknown } | null = null;

  /** Runs `work`; what it says goes to `done` or `failed`. What those throw, `settle` throws. */
  start<T>(
    work: () => Promise<T>,
    done: (value: T) => void,
    failed: (error: unknown) => void,
  ): void {
    this.#running += 1;
    void this.#run(work, done, failed);
  }

  async #run<T>(
    work: () => Promise<T>,
    done: (value: T) => void,
    failed: (error: unknown) => void,
  ): Promise<void> {
    try {
      const end = await ended(work, done, failed);
      this.#running -= 1;
      end();
    } catch (error) {
      this.#broken ??= { error };
    }
  }

  /** A wait for the model's world within running work; each work waits for one thing at a time. */
  wait<T>(
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    this.#running -= 1;
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const once = (end: () => void): void => {
        if (over) return;
        over = true;
        this.#running += 1;
        end();
      };
      begin(
        (value) => once(() => resolve(value)),
        (error) => once(() => reject(error)),
      );
    });
  }

  async settle(): Promise<void> {
    for (let turn = 0; this.#running > 0; turn += 1) {
      assert(turn < turnsMax, "asynchronous work ends or waits for the world");
      await Promise.resolve();
    }
    // oxlint-disable-next-line typescript/only-throw-error -- what was thrown, unchanged
    if (this.#broken !== null) throw this.#broken.error;
  }
}

async function ended<T>(
  work: () => Promise<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
): Promise<() => void> {
  try {
    const value = await work();
    return () => done(value);
  } catch (error) {
    return () => failed(error);
  }
}
