import { setTimeout as sleep } from "node:timers/promises";
import type { PoolConfig } from "../../agent/config.ts";
import { heldCopies } from "../../agent/local/observe-local.ts";
import type { AttachableBackend, BackendContext } from "../../backends/attachable.ts";
import type { LocalBackend } from "../../backends/local.ts";
import type { OpenedBackend } from "../../backends/driver.ts";
import { openBackend } from "../../backends/registry.ts";
import type { DatasetId } from "../../domain/ids.ts";
import { defaultSizeBytes, type Pool } from "../../domain/pool.ts";
import { hasCode, messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { HeldCopy } from "../../protocol/agent-messages.ts";

/** The pools of this node, open, by the port that each of them has. */
export type Pools = {
  readonly pools: readonly Pool[];
  readonly backends: ReadonlyMap<string, AttachableBackend>;
  readonly localBackends: ReadonlyMap<string, LocalBackend>;
  readonly leftOut: readonly LeftOut[];
};

/** A pool that agent.yml names and that could not be opened; the message is for people. */
export type LeftOut = { readonly config: PoolConfig; readonly message: string };

type Context = Omit<BackendContext, "pool">;

const lookMsMax = 30_000;
const openMsMax = 60_000;
const messageCharactersMax = 1_000;

/** Of a node whose agent.yml says nothing of pools. */
const ownDisks: PoolConfig = {
  name: "default",
  backend: "btrfs",
  defaultSizeBytes: undefined,
  options: {},
};

/**
 * Opens what agent.yml names; what does not answer now is left out. Only keys that are wrong are
 * an error. Without a word there, the node's own disks, where btrfs can.
 */
export async function openPools(
  configured: readonly PoolConfig[] | null,
  context: Context,
  scope: AsyncDisposableStack,
): Promise<Pools> {
  const backends = new Map<string, AttachableBackend>();
  const localBackends = new Map<string, LocalBackend>();
  const pools: Pool[] = [];
  const leftOut: LeftOut[] = [];
  for (const config of configured ?? [ownDisks]) {
    const { name, backend: driver, defaultSizeBytes: size } = config;
    const opened = await openPool(config, context);
    if (opened.kind === "left_out") {
      context.log.warn("pool.left_out", { pool: name, message: opened.message });
      // Without a word in agent.yml nobody waits for it.
      if (configured !== null) leftOut.push({ config, message: opened.message });
      continue;
    }
    if (configured === null) context.log.info("pool.defaulted", { pool: name, driver });
    const { capabilities } = scope.use(opened.backend);
    if (opened.kind === "local") localBackends.set(name, opened.backend);
    else backends.set(name, opened.backend);
    pools.push({ name, driver, capabilities, defaultSizeBytes: size ?? defaultSizeBytes });
  }
  return { pools, backends, localBackends, leftOut };
}

type NotOpened = { readonly kind: "left_out"; readonly message: string };

async function openPool(
  { name, backend, options }: PoolConfig,
  context: Context,
): Promise<OpenedBackend | NotOpened> {
  const opening = openBackend({ backend, options }, { ...context, pool: name });
  const late = sleep(openMsMax, null, { ref: false });
  try {
    const opened = await Promise.race([opening, late]);
    if (opened !== null) return opened;
  } catch (error) {
    if (hasCode(error, "CONFIGURATION_INVALID")) throw error;
    return { kind: "left_out", message: messageOf(error).slice(0, messageCharactersMax) };
  }
  // Whatever it comes to, it comes too late for this start.
  void opening.then(
    ({ backend: open }) => open[Symbol.asyncDispose](),
    () => {},
  );
  return { kind: "left_out", message: `its driver did not open it within ${openMsMax / 1000} s` };
}

/**
 * Resolves with its name once one of the pools that were left out can be opened; never, when none
 * was. The agent then starts anew: only so nothing is built on what an earlier process asked.
 */
export async function firstToOpen(
  leftOut: readonly LeftOut[],
  context: Context,
  { signal, everyMs = 15_000 }: { readonly signal: AbortSignal; readonly everyMs?: number },
): Promise<string> {
  for (;;) {
    await sleep(everyMs, null, { signal });
    for (const { config } of leftOut) {
      const opened = await openPool(config, context);
      if (opened.kind === "left_out") continue;
      await opened.backend[Symbol.asyncDispose]();
      context.log.info("pool.came_back", { pool: config.name });
      return config.name;
    }
  }
}

/** What the pools on this node's own disks have at the start; a pool that is away has nothing. */
export async function copiesAtStart(
  backends: ReadonlyMap<string, LocalBackend>,
  log: Logger,
): Promise<ReadonlyMap<DatasetId, readonly HeldCopy[]>> {
  const found = new Map<DatasetId, readonly HeldCopy[]>();
  for (const [pool, backend] of backends) {
    const call = { signal: AbortSignal.timeout(lookMsMax), deadlineMs: lookMsMax, log };
    try {
      for (const datasetId of await backend.list(call)) {
        const copies = heldCopies(await backend.look(datasetId, call), pool);
        found.set(datasetId, [...(found.get(datasetId) ?? []), ...copies]);
      }
    } catch (error) {
      log.warn("pool.unread", { pool, message: messageOf(error) });
    }
  }
  return found;
}
