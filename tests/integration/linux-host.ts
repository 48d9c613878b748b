import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { parseClusterId, parseDatasetId, parseOpId } from "../../src/domain/ids.ts";
import type { Identity } from "../../src/domain/volume.ts";
import { LinuxHost } from "../../src/host/linux-host.ts";
import { call } from "./loop-image.ts";

/** This machine, with `flocker` and `run` of a directory for its mounts; dismantled at the end. */
export async function linuxHost(
  stack: AsyncDisposableStack,
  directory: string,
): Promise<LinuxHost> {
  const host = new LinuxHost({
    mountRoot: join(directory, "flocker"),
    runDir: join(directory, "run"),
  });
  await host.prepare(call());
  stack.defer(() => host.dismantle(call()));
  return host;
}

/** Of a dataset that nobody else has. */
export function newIdentity(generation = 0): Identity {
  return {
    clusterId: parseClusterId(randomUUID()),
    datasetId: parseDatasetId(randomUUID()),
    lineage: parseOpId(randomUUID()),
    generation,
  };
}
