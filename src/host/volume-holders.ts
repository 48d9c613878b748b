import { readdir, readlink } from "node:fs/promises";
import type { DatasetId } from "../domain/ids.ts";
import type { Device, Holder } from "../domain/volume.ts";
import { readBlockDevice } from "../lib/block-device.ts";
import { type HostPaths, notedDevice, shownPath, volumePath } from "./host-paths.ts";
import { otherNamespaces, placeIn, placeOf, processes, readProc } from "../lib/mount-namespaces.ts";
import { type Mount, mountAt, mountOf, readMountinfo } from "../lib/mountinfo.ts";

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
 *
 * Copies of our own two mounts do not count: they stand on the very directories that are removed
 * with our mounts, and rmdir(2) takes them away in every namespace. Each service that systemd gives
 * a namespace of its own has such copies, and each container of `-v /flocker:/f`.
 */
export async function foreignMounts(
  paths: HostPaths,
  datasetId: DatasetId,
  device: Device | null,
): Promise<readonly ForeignMount[]> {
  const own = await readMountinfo();
  const numbers = await deviceNumbers(paths, datasetId, device, own);
  if (numbers.size === 0) return [];
  const places = [volumePath(paths, datasetId), shownPath(paths, datasetId)].map((path) =>
    placeUnder(own, path),
  );
  const foreign = (mounts: readonly Mount[]): Mount | undefined =>
    mounts.find(
      (mount) => numbers.has(mount.deviceNumber) && !places.includes(placeOf(mounts, mount)),
    );
  const ours = foreign(own);
  const found: ForeignMount[] = ours === undefined ? [] : [{ pid: null, mount: ours }];
  for (const { pid, mounts } of await otherNamespaces()) {
    const mount = foreign(mounts);
    if (mount !== undefined) found.push({ pid, mount });
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
  return Promise.all(mounts.map(({ pid, mount }) => describeHolder(pid, mount)));
}

/**
 * A path by which the volume's file system can be reached from here, through whichever namespace
 * has it mounted; null when nobody has.
 */
export async function findReachable(
  paths: HostPaths,
  datasetId: DatasetId,
): Promise<string | null> {
  const own = await readMountinfo();
  const numbers = await deviceNumbers(paths, datasetId, null, own);
  const visible = (mounts: readonly Mount[]): Mount | undefined =>
    mounts.find(
      (mount) => numbers.has(mount.deviceNumber) && mountAt(mounts, mount.mountPoint) === mount,
    );
  const ours = visible(own);
  if (ours !== undefined) return ours.mountPoint;
  for (const { pid, mounts } of await otherNamespaces()) {
    const mount = visible(mounts);
    if (mount !== undefined) return `/proc/${pid}/root${mount.mountPoint}`;
  }
  return null;
}

/** Where a path of ours stands, as `placeOf` has it, whether or not something is mounted on it. */
export function placeUnder(mounts: readonly Mount[], path: string): string | null {
  const below = mountOf(
    mounts.filter(({ mountPoint }) => mountPoint !== path),
    path,
  );
  return below === null ? null : placeIn(below, path);
}

/** Processes of our own namespace with files open below a path; at most `holdersMax`. */
export async function findOpeners(path: string, holdersMax = 5): Promise<readonly Holder[]> {
  const found: Holder[] = [];
  for (const pid of await processes()) {
    if (found.length >= holdersMax) break;
    if (!(await links(pid)).some((link) => link === path || link.startsWith(`${path}/`))) continue;
    found.push({
      pid: Number(pid),
      command: (await readProc(pid, "comm"))?.trim() ?? null,
      container: containerOf((await readProc(pid, "cgroup")) ?? ""),
    });
  }
  return found;
}

/** Where its working directory and open files are; the links are text, nothing is opened. */
async function links(pid: string): Promise<readonly string[]> {
  const names = ["cwd", "root"];
  try {
    names.push(...(await readdir(`/proc/${pid}/fd`)).map((fd) => `fd/${fd}`));
  } catch {
    return []; // It has ended.
  }
  return Promise.all(names.map((name) => readlink(`/proc/${pid}/${name}`).catch(() => "")));
}

export async function deviceNumbers(
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

/** Who it is; `mount` for a mount of our own namespace, which belongs to no process. */
export async function describeHolder(pid: number | null, mount: Mount | null): Promise<Holder> {
  if (pid === null) return { pid, command: `mount ${mount?.mountPoint ?? ""}`, container: null };
  const command = (await readProc(String(pid), "comm"))?.trim() ?? null;
  const cgroup = (await readProc(String(pid), "cgroup")) ?? "";
  return { pid, command, container: containerOf(cgroup) };
}

/**
 * Docker, containerd and podman name a container's cgroup after its 64 digits. Of containers in
 * containers it is the innermost: the outer ones may be this agent's too.
 */
export function containerOf(cgroup: string): string | null {
  const names = cgroup.matchAll(/(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?=\/|$)/gm);
  return [...names].at(-1)?.[1] ?? null;
}
