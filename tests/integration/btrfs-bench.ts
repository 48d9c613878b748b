import { randomUUID } from "node:crypto";
import { renameSync } from "node:fs";
import { join } from "node:path";
import type { BackendContext } from "../../src/backends/attachable.ts";
import { directoryProbe } from "../../src/backends/conformance/directory-probe.ts";
import type { LocalBench } from "../../src/backends/conformance/local-bench.ts";
import type { LocalBackend } from "../../src/backends/local.ts";
import { openBackend } from "../../src/backends/registry.ts";
import { type ClusterId, parseClusterId, parseDatasetId, parseOpId } from "../../src/domain/ids.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { call, mebi, run, scratch, succeeds } from "./loop-image.ts";

/** One node: where its agent keeps things, and the file of its pool. */
export type PoolNode = { readonly directory: string; readonly context: BackendContext };

export const poolBytes = 512 * mebi;

/** A node whose pool is unmounted and detached at the end, whatever became of the test. */
export function poolNode(stack: AsyncDisposableStack, clusterId: ClusterId): PoolNode {
  const directory = scratch(stack);
  const runDir = join("/run", `flocker-test-${randomUUID()}`);
  const context = { clusterId, pool: "default", runDir, dataDir: join(directory, "agent") };
  const node = { directory, context: { ...context, log: silentLogger } };
  stack.defer(() => {
    detachPool(node);
    succeeds("umount", join(runDir, "pools"));
    succeeds("rm", "-rf", "--one-file-system", runDir);
  });
  return node;
}

export function imageOf({ directory }: PoolNode): string {
  return join(directory, "pool.img");
}

export function mountOf({ context }: PoolNode): string {
  return join(context.runDir, "pools", context.pool);
}

/** As after a reboot: nothing is mounted, no loop device is there. */
export function detachPool(node: PoolNode): void {
  while (succeeds("umount", mountOf(node)));
  const loops = run("losetup", "-n", "-O", "NAME", "-j", imageOf(node)).split("\n");
  for (const loop of loops.filter((name) => name !== "")) succeeds("losetup", "-d", loop.trim());
}

/** The driver as the node's agent opens it, each time anew. */
export async function openPool(
  node: PoolNode,
  options: Readonly<Record<string, unknown>> = {
    pool_path: imageOf(node),
    pool_size: poolBytes,
  },
): Promise<LocalBackend> {
  const opened = await openBackend({ backend: "btrfs", options }, node.context);
  if (opened.kind !== "local") throw new Error("btrfs is local");
  return opened.backend;
}

/** Two nodes on this machine with a pool each; no loop device and no mount is left at the end. */
export async function btrfsBench(): Promise<
  LocalBench & AsyncDisposable & { readonly here: PoolNode; readonly there: PoolNode }
> {
  await using made = new AsyncDisposableStack();
  const clusterId = parseClusterId(randomUUID());
  const here = poolNode(made, clusterId);
  const there = poolNode(made, clusterId);
  const backend = await openPool(here);
  const otherBackend = await openPool(there);
  const stack = made.move();
  return {
    here,
    there,
    backend,
    otherBackend,
    clusterId,
    call: call(),
    newDatasetId: () => parseDatasetId(randomUUID()),
    newOp: () => parseOpId(randomUUID()),
    openAgain: () => openPool(here),
    losePool: async () => {
      detachPool(here);
      renameSync(imageOf(here), `${imageOf(here)}.away`);
      return {
        [Symbol.asyncDispose]: async () => renameSync(`${imageOf(here)}.away`, imageOf(here)),
      };
    },
    files: directoryProbe,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
