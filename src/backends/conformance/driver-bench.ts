import { randomUUID } from "node:crypto";
import {
  parseBootId,
  parseClusterId,
  parseDatasetId,
  parseNodeId,
  parseOpId,
} from "../../domain/ids.ts";
import { FlockerError, messageOf } from "../../lib/errors.ts";
import type { AttachableBackend, BackendContext, Call } from "../attachable.ts";
import { type Driver, isLocal } from "../driver.ts";
import type { LocalBackend } from "../local.ts";
import { logCalls } from "../logged-backend.ts";
import { logLocalCalls } from "../logged-local.ts";
import { attachableCases } from "./attachable-cases.ts";
import { type AttachableBench, runAttachableCase } from "./attachable-bench.ts";
import { CallTrace, type TracedCall } from "./call-trace.ts";
import { blockDeviceProbe } from "./device-probe.ts";
import { directoryProbe } from "./directory-probe.ts";
import { type LocalBench, runLocalCase } from "./local-bench.ts";
import { localCases } from "./local-cases.ts";

type Options = Readonly<Record<string, unknown>>;

/** A driver that is tried, with its options on two nodes and a directory for what they keep. */
export type Tried = {
  readonly driver: Driver;
  readonly here: Options;
  readonly there: Options;
  readonly directory: string;
};

export type CaseOutcome = {
  readonly name: string;
  readonly sentence: string;
  readonly outcome: "passed" | "failed" | "left_out";
  /** What was expected and what was found; null unless it failed. */
  readonly difference: string | null;
  readonly calls: readonly TracedCall[];
};

/** Of this cluster in all runs, so that a pool can be used for the next run. */
const clusterId = parseClusterId("0c0f0a0c-0000-4000-8000-000000000001");
const otherClusterId = parseClusterId("0c0f0a0c-0000-4000-8000-000000000002");
const callMsMax = 60_000;
const caseMsMax = 300_000;

/** Runs the cases of the port that the driver implements, one after the other. */
export async function* tryDriver(tried: Tried): AsyncGenerator<CaseOutcome> {
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await open(tried, "here"));
  const second = stack.use(await open(tried, "there"));
  if (isLocal(first) && isLocal(second)) {
    const openAgain = async (): Promise<LocalBackend> => {
      const again = stack.use(await open(tried, "here"));
      if (isLocal(again)) return logLocalCalls(again, "here, again");
      throw new FlockerError("INTERNAL", "A driver changed its port.");
    };
    yield* tryLocal({ first, second, openAgain });
  } else if (!isLocal(first) && !isLocal(second)) {
    const foreign = stack.use(await open(tried, "here", otherClusterId));
    if (!isLocal(foreign)) yield* tryAttachable({ first, second, foreign });
  } else throw new FlockerError("CONFIGURATION_INVALID", "The driver has two ports.");
}

async function* tryAttachable(backends: {
  readonly first: AttachableBackend;
  readonly second: AttachableBackend;
  readonly foreign: AttachableBackend;
}): AsyncGenerator<CaseOutcome> {
  const node = parseNodeId(randomUUID());
  const common = {
    backend: logCalls(backends.first, "here"),
    otherBackend: logCalls(backends.second, "there"),
    foreignBackend: logCalls(backends.foreign, "other cluster"),
    here: { node, era: parseBootId(randomUUID()), generation: 4 },
    hereLater: { node, era: parseBootId(randomUUID()), generation: 5 },
    there: { node: parseNodeId(randomUUID()), era: parseBootId(randomUUID()), generation: 5 },
    newDatasetId: () => parseDatasetId(randomUUID()),
    newOp: () => parseOpId(randomUUID()),
    device: blockDeviceProbe,
  };
  for (const item of attachableCases) {
    const isLeftOut = item.needs?.(backends.first.capabilities) === false;
    const bench = (call: Call): AttachableBench & AsyncDisposable => ({ ...common, call, ...kept });
    yield await outcomeOf(item, isLeftOut, (call) =>
      runAttachableCase(item, async () => bench(call)),
    );
  }
}

async function* tryLocal(backends: {
  readonly first: LocalBackend;
  readonly second: LocalBackend;
  readonly openAgain: () => Promise<LocalBackend>;
}): AsyncGenerator<CaseOutcome> {
  const common = {
    backend: logLocalCalls(backends.first, "here"),
    otherBackend: logLocalCalls(backends.second, "there"),
    clusterId,
    newDatasetId: () => parseDatasetId(randomUUID()),
    newOp: () => parseOpId(randomUUID()),
    openAgain: backends.openAgain,
    losePool: null,
    files: directoryProbe,
  };
  for (const item of localCases) {
    const isLeftOut = item.needs === "losePool";
    const bench = (call: Call): LocalBench & AsyncDisposable => ({ ...common, call, ...kept });
    yield await outcomeOf(item, isLeftOut, (call) => runLocalCase(item, async () => bench(call)));
  }
}

/** The backends serve all cases; they are disposed at the end. */
const kept: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

async function outcomeOf(
  { name, sentence }: { readonly name: string; readonly sentence: string },
  isLeftOut: boolean,
  run: (call: Call) => Promise<void>,
): Promise<CaseOutcome> {
  const trace = new CallTrace();
  const told = { name, sentence, calls: trace.calls };
  if (isLeftOut) return { ...told, outcome: "left_out", difference: null };
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`the case did not end within ${caseMsMax} ms`));
  }, caseMsMax);
  const { signal } = new AbortController();
  try {
    await Promise.race([run({ signal, deadlineMs: callMsMax, log: trace }), late.promise]);
    return { ...told, outcome: "passed", difference: null };
  } catch (error) {
    return { ...told, outcome: "failed", difference: differenceOf(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** With the reason of a clean-up that failed as well, and what a wrong error was caused by. */
function differenceOf(error: unknown): string {
  if (error instanceof SuppressedError) {
    return `${messageOf(error.suppressed)}\nclean-up: ${messageOf(error.error)}`;
  }
  return messageOf(error);
}

function open(
  { driver, here, there, directory }: Tried,
  node: "here" | "there",
  cluster = clusterId,
): Promise<AttachableBackend | LocalBackend> {
  const context: BackendContext = {
    clusterId: cluster,
    pool: `conformance-${node}`,
    runDir: `${directory}/${node}/run`,
    dataDir: `${directory}/${node}/data`,
    log: new CallTrace(),
  };
  return driver.open(node === "here" ? here : there, context);
}
