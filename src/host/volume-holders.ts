import { readdir, readFile, readlink } from "node:fs/promises";
import type { DatasetId } from "../domain/ids.ts";
import type { Device, Holder } from "../domain/volume.ts";
import { readBlockDevice } from "../lib/block-device.ts";
import { type HostPaths, notedDevice, shownPath, volumePath } from "./host-paths.ts";
import { type Mount, mountAt, parseMountinfo, readMountinfo } from "./mountinfo.ts";

/** A mount of the volume that is not one of our own two, with a process that sees it. */
export type ForeignMount = {
  /** Null for a mount of our own namespace. */
  readonly pid: number | null;
  readonly mount: Mount;
};

/**
 * Everybody who has this volume mounted besides us, one for each mount namespace. Only text of
 * /proc is read, so that a dead disk cannot stall it. Null `device`: the one it was last mounted
 * from in this boot.
 */
export async function foreignMounts(
  paths: HostPaths,
  datasetId: DatasetId,
  device: Device | null,
): Promise<readonly ForeignMount[]> {
  const own = await readMountinfo();
  const ours = [volumePath(paths, datasetId), shownPath(paths, datasetId)];
  const numbers = await deviceNumbers(paths, datasetId, device, own);
  if (numbers.size === 0) return [];
  const found: ForeignMount[] = own
    .filter(({ deviceNumber, mountPoint }) => {
      return numbers.has(deviceNumber) && !ours.includes(mountPoint);
    })
    .map((mount) => ({ pid: null, mount }));
  const seen = new Set([await namespaceOf("self")]);
  for (const pid of await processes()) {
    const namespace = await namespaceOf(pid);
    if (namespace === null || seen.has(namespace)) continue;
    const mounts = parseMountinfo((await readProc(pid, "mountinfo")) ?? "");
    if (mounts.length === 0) continue; // It ended meanwhile; another of its namespace may follow.
    seen.add(namespace);
    const mount = mounts.find(({ deviceNumber }) => numbers.has(deviceNumber));
    if (mount !== undefined) found.push({ pid: Number(pid), mount });
  }
  return found;
}

/** See `Host.holders`. */
export async function findHolders(
  paths: HostPaths,
  datasetId: DatasetId,
  device: Device | null,
): Promise<readonly Holder[]> {
  const mounts = await foreignMounts(paths, datasetId, device);
  return Promise.all(mounts.map(({ pid, mount }) => describe(pid, mount)));
}

async function deviceNumbers(
  paths: HostPaths,
  datasetId: DatasetId,
  device: Device | null,
  own: readonly Mount[],
): Promise<ReadonlySet<string>> {
  const known = device ?? (await notedDevice(paths, datasetId));
  const candidates = [
    mountAt(own, volumePath(paths, datasetId))?.deviceNumber,
    mountAt(own, shownPath(paths, datasetId))?.deviceNumber,
    known === null ? undefined : (await readBlockDevice(known.path))?.deviceNumber,
  ];
  return new Set(candidates.filter((number) => number !== undefined));
}

async function describe(pid: number | null, mount: Mount): Promise<Holder> {
  if (pid === null) return { pid, command: `mount ${mount.mountPoint}`, container: null };
  const command = (await readProc(String(pid), "comm"))?.trim() ?? null;
  const cgroup = (await readProc(String(pid), "cgroup")) ?? "";
  return { pid, command, container: containerOf(cgroup) };
}

/** Docker, containerd and podman name a container's cgroup after its 64 digits. */
export function containerOf(cgroup: string): string | null {
  return /(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?:\/|$)/m.exec(cgroup)?.[1] ?? null;
}

async function processes(): Promise<readonly string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
}

async function readProc(pid: string, name: string): Promise<string | null> {
  try {
    return await readFile(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return null; // The process has ended: it holds nothing.
  }
}

async function namespaceOf(pid: string): Promise<string | null> {
  try {
    return await readlink(`/proc/${pid}/ns/mnt`);
  } catch {
    return null;
  }
}
