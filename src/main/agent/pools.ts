import type { PoolConfig } from "../../agent/config.ts";
import { heldCopies } from "../../agent/local/observe-local.ts";
import type { AttachableBackend, BackendContext } from "../../backends/attachable.ts";
import type { LocalBackend } from "../../backends/local.ts";
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
};

type Context = Omit<BackendContext, "pool">;

const lookMsMax = 30_000;

/** Of a node whose agent.yml says nothing of pools. */
const ownDisks: PoolConfig = {
  name: "default",
  backend: "btrfs",
  defaultSizeBytes: undefined,
  options: {},
};

/** Opens what agent.yml names. Without a word there, the node's own disks, where btrfs can. */
export async function openPools(
  configured: readonly PoolConfig[] | null,
  context: Context,
  scope: AsyncDisposableStack,
): Promise<Pools> {
  const backends = new Map<string, AttachableBackend>();
  const localBackends = new Map<string, LocalBackend>();
  const pools: Pool[] = [];
  for (const config of configured ?? [ownDisks]) {
    const { name, backend: driver, options, defaultSizeBytes: size } = config;
    const opening = openBackend({ backend: driver, options }, { ...context, pool: name });
    const opened = await (configured === null ? orNone(opening, context.log) : opening);
    if (opened === null) continue;
    const { capabilities } = scope.use(opened.backend);
    if (opened.kind === "local") localBackends.set(name, opened.backend);
    else backends.set(name, opened.backend);
    pools.push({ name, driver, capabilities, defaultSizeBytes: size ?? defaultSizeBytes });
  }
  return { pools, backends, localBackends };
}

/** A node that cannot have the default pool goes on without it: it may use those of others. */
async function orNone<Opened>(opening: Promise<Opened>, log: Logger): Promise<Opened | null> {
  try {
    const opened = await opening;
    log.info("pool.defaulted", { pool: ownDisks.name, driver: ownDisks.backend });
    return opened;
  } catch (error) {
    if (!hasCode(error, "BACKEND_UNAVAILABLE") && !hasCode(error, "TOOL_MISSING")) throw error;
    log.warn("pool.left_out", { pool: ownDisks.name, message: messageOf(error) });
    return null;
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
