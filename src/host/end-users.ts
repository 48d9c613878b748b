import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import { messageOf } from "../lib/errors.ts";
import { namespaceOf, processes, readProc } from "../lib/mount-namespaces.ts";
import { containerOf, type ForeignMount } from "./volume-holders.ts";

/** SIGKILL; whoever ended meanwhile is fine. Never init or this process. */
export async function killHolder(pid: number, datasetId: DatasetId, call: Call): Promise<void> {
  if (pid === 1 || pid === process.pid) return;
  const command = (await readProc(String(pid), "comm"))?.trim() ?? null;
  call.log.warn("holder.killed", { datasetId, pid, command });
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    call.log.debug("holder.ended", { datasetId, pid, err: messageOf(error) });
  }
}

/**
 * All processes of the containers that have one of these mounts, whatever they run. A namespace
 * that is no container's, such as of a service of systemd, has copies of mounts that it never
 * asked for.
 */
export async function processesOfContainers(
  mounts: readonly ForeignMount[],
): Promise<readonly number[]> {
  const own = await containerOfProcess("self");
  const namespaces = new Set<string>();
  for (const { pid } of mounts) {
    const container = pid === null ? null : await containerOfProcess(String(pid));
    const namespace = pid === null ? null : await namespaceOf(String(pid));
    if (namespace !== null && container !== null && container !== own) namespaces.add(namespace);
  }
  if (namespaces.size === 0) return [];
  const found = [];
  for (const pid of await processes()) {
    if (namespaces.has((await namespaceOf(pid)) ?? "")) found.push(Number(pid));
  }
  return found;
}

async function containerOfProcess(pid: string): Promise<string | null> {
  return containerOf((await readProc(pid, "cgroup")) ?? "");
}
