import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { AttachableBackend } from "../../src/backends/attachable.ts";
import type { AttachableBench } from "../../src/backends/conformance/attachable-bench.ts";
import { blockDeviceProbe } from "../../src/backends/conformance/device-probe.ts";
import { openBackend } from "../../src/backends/registry.ts";
import {
  type ClusterId,
  parseBootId,
  parseClusterId,
  parseDatasetId,
  parseNodeId,
  parseOpId,
} from "../../src/domain/ids.ts";
import type { Capabilities } from "../../src/domain/pool.ts";
import { type Logger, silentLogger } from "../../src/lib/log.ts";
import { call, run, scratch, succeeds } from "./loop-image.ts";

/** The driver as an agent opens it. */
export async function openLoopback(
  rootPath: string,
  clusterId: ClusterId,
  log: Logger = silentLogger,
): Promise<AttachableBackend> {
  const pool = { backend: "loopback", options: { root_path: rootPath } };
  const directories = { runDir: "/run/flocker-test", dataDir: `${rootPath}-data` };
  const opened = await openBackend(pool, { clusterId, pool: "san", ...directories, log });
  if (opened.kind !== "attachable") throw new Error("loopback is attachable");
  return opened.backend;
}

/**
 * Two nodes on this machine at one directory. At the end no loop device of it is left, and nothing
 * of a volume in the directory.
 */
export async function loopbackBench(): Promise<
  AttachableBench & AsyncDisposable & { rootPath: string }
> {
  await using made = new AsyncDisposableStack();
  const rootPath = join(scratch(made), "san");
  made.defer(() => dropLeftLoops(rootPath));
  const clusterId = parseClusterId(randomUUID());
  const node = parseNodeId(randomUUID());
  const backend = await openLoopback(rootPath, clusterId);
  const otherBackend = await openLoopback(rootPath, clusterId);
  const foreignBackend = await openLoopback(rootPath, parseClusterId(randomUUID()));
  const stack = made.move();
  return {
    rootPath,
    backend,
    otherBackend,
    foreignBackend,
    here: { node, era: parseBootId(randomUUID()), generation: 4 },
    hereLater: { node, era: parseBootId(randomUUID()), generation: 5 },
    there: { node: parseNodeId(randomUUID()), era: parseBootId(randomUUID()), generation: 5 },
    call: call(),
    newDatasetId: () => parseDatasetId(randomUUID()),
    newOp: () => parseOpId(randomUUID()),
    device: blockDeviceProbe,
    [Symbol.asyncDispose]: async () => {
      const left = ["volumes", "attachments"].flatMap((name) => readdirSync(join(rootPath, name)));
      await stack.disposeAsync();
      if (left.length > 0) throw new Error(`left in the directory: ${left.join(", ")}`);
    },
  };
}

export async function loopbackCapabilities(): Promise<Capabilities> {
  await using stack = new AsyncDisposableStack();
  const backend = await openLoopback(join(scratch(stack), "san"), parseClusterId(randomUUID()));
  return backend.capabilities;
}

/** Loop devices of a test's own directory, whatever became of the test. */
function dropLeftLoops(rootPath: string): void {
  for (const line of run("losetup", "--list", "--noheadings", "-O", "NAME,BACK-FILE").split("\n")) {
    const [name = "", file = ""] = line.trim().split(/\s+/);
    if (file.startsWith(`${rootPath}/`)) succeeds("losetup", "-d", name);
  }
}
