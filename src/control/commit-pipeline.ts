import type { DatasetId } from "../domain/ids.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import type { ControlCore } from "./core/control-core.ts";
import type { Batch, CoreOutput, CoreWrite } from "./core/state.ts";
import type { Store, StoreWrite } from "./store/store.ts";
import { unreachable } from "../lib/assert.ts";
import { metaKeys } from "./store-contents.ts";

export type PipelineOptions = {
  readonly core: ControlCore;
  readonly store: Store;
  readonly nowMs: () => number;
  /** Lets one output leave the process; called in order, after everything before is durable. */
  readonly perform: (output: CoreOutput) => void;
  /** The process must end: what is in memory is not what is durable. Called once. */
  readonly failed: (reason: FlockerError) => void;
};

export type RunOptions = {
  /**
   * Makes the store grow: refused with `STORE_FULL` once the disk is full, so that the space that
   * is kept back remains for what agents give back.
   */
  readonly grows?: boolean;
};

type Creation = { readonly resolve: () => void; readonly reject: (reason: FlockerError) => void };

/**
 * The only way to the core. Each call is run at once and whole; its writes are committed, and
 * whatever follows from it (outputs, the value or error that the caller gets) leaves only once
 * these writes and all before them are durable. Order is kept throughout.
 */
export class CommitPipeline {
  readonly #options: PipelineOptions;
  readonly #creations = new Map<DatasetId, Creation>();
  /** Resolves when everything until now is durable and has left; never rejects. */
  #settled: Promise<void> = Promise.resolve();
  #failure: FlockerError | null = null;

  constructor(options: PipelineOptions) {
    this.#options = options;
    // What the core did while it was made.
    this.#leave(this.#options.core.drain()).catch(() => {}); // `failed` was told.
  }

  /**
   * Runs `work` on the core now; settles as it did, once what it did and saw is durable. Rejects
   * with the pipeline's failure when that cannot become so.
   */
  async run<T>(
    work: (core: ControlCore, nowMs: number) => T,
    { grows = false }: RunOptions = {},
  ): Promise<T> {
    if (this.#failure !== null) throw this.#failure;
    const { core, store, nowMs } = this.#options;
    const outcome =
      grows && store.isFull()
        ? { thrown: storeFull() }
        : this.#attempt(() => work(core, Math.floor(nowMs())));
    await this.#leave(core.drain());
    if ("thrown" in outcome) throw outcome.thrown;
    return outcome.value;
  }

  /** As `run` of a creation, but resolves only when every live session has stored the name. */
  async create<T extends { readonly datasetId: DatasetId }>(
    work: (core: ControlCore, nowMs: number) => T,
  ): Promise<T> {
    let stored: Promise<void> = Promise.resolve();
    const made = await this.run(
      (core, nowMs) => {
        const value = work(core, nowMs);
        stored = this.#stored(value.datasetId);
        return value;
      },
      { grows: true },
    );
    await stored;
    return made;
  }

  /** Resolves when all that was run before is durable and has left. */
  async settled(): Promise<void> {
    await this.#settled;
  }

  #attempt<T>(work: () => T): { readonly value: T } | { readonly thrown: Error } {
    try {
      return { value: work() };
    } catch (error) {
      // A refusal is an answer; anything else is a broken invariant of the core.
      if (!(error instanceof FlockerError)) {
        throw this.#fail(
          new FlockerError("INTERNAL", `The control service has a bug: ${messageOf(error)}`, {
            cause: error,
          }),
        );
      }
      return { thrown: error };
    }
  }

  async #leave({ writes, outputs, revision }: Batch): Promise<void> {
    const before = this.#settled;
    // Urgent: what was refused would stay in memory. Growth is refused at the door instead.
    const durable =
      writes.length === 0
        ? Promise.resolve()
        : this.#options.store.commit(writes.flatMap(storeWrites), revision, { urgent: true });
    this.#settled = this.#inTurn(before, durable, outputs);
    await this.#settled;
    if (this.#failure !== null) throw this.#failure;
  }

  async #inTurn(
    before: Promise<void>,
    durable: Promise<void>,
    outputs: readonly CoreOutput[],
  ): Promise<void> {
    try {
      await Promise.all([before, durable]);
      if (this.#failure !== null) return;
      for (const output of outputs) this.#perform(output);
    } catch (error) {
      this.#fail(
        error instanceof FlockerError
          ? error
          : new FlockerError("INTERNAL", messageOf(error), { cause: error }),
      );
    }
  }

  #perform(output: CoreOutput): void {
    if (output.kind === "created") {
      this.#creations.get(output.datasetId)?.resolve();
      this.#creations.delete(output.datasetId);
    } else this.#options.perform(output);
  }

  #stored(datasetId: DatasetId): Promise<void> {
    const stored = new Promise<void>((resolve, reject) => {
      this.#creations.set(datasetId, { resolve, reject });
    });
    stored.catch(() => {}); // The commit fails first, and the caller hears of that.
    return stored;
  }

  #fail(reason: FlockerError): FlockerError {
    if (this.#failure !== null) return this.#failure;
    this.#failure = reason;
    for (const { reject } of this.#creations.values()) reject(reason);
    this.#creations.clear();
    this.#options.failed(reason);
    return reason;
  }
}

function storeFull(): FlockerError {
  return new FlockerError(
    "STORE_FULL",
    "The disk of the control service is full: nothing was changed. Free space there; what nodes " +
      "give back is still recorded.",
  );
}

function storeWrites(write: CoreWrite): readonly StoreWrite[] {
  switch (write.kind) {
    case "record":
    case "audit":
      return [write];
    case "node":
      return [{ kind: "node", nodeId: write.entry.nodeId, value: JSON.stringify(write.entry) }];
    case "uptime":
      return [{ kind: "meta", key: metaKeys.uptime, value: JSON.stringify(write.book) }];
    case "recovered":
      return [write, { kind: "meta", key: metaKeys.recovering, value: "no" }];
    default:
      return unreachable(write);
  }
}
