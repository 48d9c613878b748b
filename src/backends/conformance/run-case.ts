import type { DatasetId } from "../../domain/ids.ts";
import { type ErrorCode, hasCode, messageOf } from "../../lib/errors.ts";

/** One sentence of a port, proved on a bench of that port. Data: any test runner can run it. */
export type Case<Bench> = {
  /** The sentence that it proves, word by word. */
  readonly sentence: string;
  readonly name: string;
  readonly run: (bench: Bench) => Promise<void>;
};

/**
 * Runs a case and then `removeAll` for the datasets that it asked for, also when it failed; a
 * clean-up that fails is a failure.
 */
export async function runCase<Bench extends { readonly newDatasetId: () => DatasetId }>(
  { run }: Case<Bench>,
  makeBench: () => Promise<Bench & AsyncDisposable>,
  removeAll: (bench: Bench, datasetIds: readonly DatasetId[]) => Promise<void>,
): Promise<void> {
  await using bench = await makeBench();
  const made: DatasetId[] = [];
  const newDatasetId = (): DatasetId => {
    const id = bench.newDatasetId();
    made.push(id);
    return id;
  };
  await using stack = new AsyncDisposableStack();
  stack.defer(() => removeAll(bench, made));
  await run({ ...bench, newDatasetId });
}

/** Fails the case unless the call fails with this code. */
export async function refuses(code: ErrorCode, attempt: () => Promise<unknown>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    if (hasCode(error, code)) return;
    throw new Error(`expected ${code}, got ${messageOf(error)}`, { cause: error });
  }
  throw new Error(`expected ${code}, but the call succeeded`);
}
