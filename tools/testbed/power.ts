import { existsSync, readdirSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BedPaths, hostPaths } from "./bed-paths.ts";
import { freeze, isFrozen, members } from "./linux/cgroups.ts";
import { hostNamed, initOf } from "./host.ts";
import {
  type Loop,
  detachLoop,
  deviceNumber,
  fileKey,
  listLoops,
  loopsBelow,
  mountsOf,
} from "./linux/loop-devices.ts";
import { killAll } from "./linux/process-identity.ts";
import { attempt, run } from "./run.ts";
import { switchOf } from "./switch.ts";
import { until } from "./linux/until.ts";

/**
 * Power loss. Killing the init alone would let the kernel write out what it has in memory, so all
 * file systems of the host and of its volumes are shut down before (FS_IOC_SHUTDOWN without a flush
 * of the log), and what its volumes' files held at that moment is put back when the kernel has let
 * go of them.
 */
export async function crash(bed: BedPaths, host: string): Promise<void> {
  const init = initOf(bed, hostNamed(bed, host).name);
  if (init === null) throw new Error(`${host} is powered off already; ./demo boot ${host}`);
  // In one instant for all its processes. One that hangs in the kernel cannot be stopped, and need
  // not.
  await freeze(bed.id, host, true).catch(() => {});
  const before = await hostLoops(bed, host);
  const images = await freezeImages(bed, before);
  for (const path of fileSystems(host, bed, before)) {
    await attempt("xfs_io", "-x", "-c", "shutdown", path);
  }
  await powerOff(bed, host);
  await images.putBack();
}

/** Ends a host without any ceremony, and waits until the kernel has nothing more of it. */
export async function powerOff(bed: BedPaths, host: string): Promise<void> {
  const init = initOf(bed, host);
  const { disk, init: record } = hostPaths(bed, host);
  const end = init === null ? Promise.resolve() : killAll([init]);
  await thawUntil(bed, host, end);
  rmSync(record, { force: true });
  if (!existsSync(disk)) return;
  const key = fileKey(disk);
  await until(`the disk of ${host} unmounted`, 30_000, async () => {
    const loops = await listLoops();
    return !loops.some(({ fileDevice, fileInode }) => `${fileDevice} ${fileInode}` === key);
  });
  await detachUnused(bed);
}

/**
 * Runs `act` while the host stands still and its disk has all that was written. Not fsfreeze(8): with
 * a loop device on a file of an overlay, as a pool in a file here is, Linux 6.18 waits for ever.
 */
export async function atRest(
  bed: BedPaths,
  host: string,
  act: () => Promise<unknown>,
): Promise<void> {
  const init = initOf(bed, host);
  if (init === null) throw new Error(`${host} is powered off; ./demo boot ${host}`);
  const wasPaused = isFrozen(bed.id, host);
  await freeze(bed.id, host, true);
  try {
    const mounted = fileSystems(host, bed, await hostLoops(bed, host));
    for (const path of mounted) await run("sync", "-f", path);
    await act();
  } finally {
    if (!wasPaused) await freeze(bed.id, host, false);
  }
}

function diskOf(pid: number): string {
  return `/proc/${pid}/root/var/lib/docker`;
}

/** In cgroup v1 a frozen process does not die before it is thawed. */
async function thawUntil(bed: BedPaths, host: string, end: Promise<void>): Promise<void> {
  await freeze(bed.id, host, false).catch(() => {});
  await end;
}

type HostLoop = Loop & { readonly mountedAt: string | null };

/** The bed's loop devices that processes of the host have mounted or open. */
async function hostLoops(bed: BedPaths, host: string): Promise<readonly HostLoop[]> {
  const loops = loopsBelow(bed.root, await listLoops());
  const mounted = new Map<string, string>();
  const open = new Set<string>();
  const namespaces = new Set<string>();
  for (const pid of members(bed.id, host)) {
    for (const device of openDevices(pid)) open.add(device);
    const namespace = linkOf(`/proc/${pid}/ns/mnt`);
    if (namespace === null || namespaces.has(namespace)) continue;
    namespaces.add(namespace);
    for (const { device, path } of mountsOf(pid)) {
      if (!mounted.has(device)) mounted.set(device, `/proc/${pid}/root${path}`);
    }
  }
  return loops
    .filter(({ device, name }) => mounted.has(device) || open.has(name))
    .map((loop) => ({ ...loop, mountedAt: mounted.get(loop.device) ?? null }));
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null; // The process has ended.
  }
}

function openDevices(pid: number): readonly string[] {
  try {
    const files = readdirSync(`/proc/${pid}/fd`);
    const paths = files.map((file) => linkOf(`/proc/${pid}/fd/${file}`));
    return paths.filter((path) => path?.startsWith("/dev/loop") === true).map(String);
  } catch {
    return [];
  }
}

/** A path on each file system that goes down with the host: on its disk, and on its volumes. */
function fileSystems(host: string, bed: BedPaths, loops: readonly HostLoop[]): readonly string[] {
  const san = sanDevice(bed);
  const volumes = loops
    .filter(({ device }) => device !== san)
    .map(({ mountedAt }) => mountedAt)
    .filter((path) => path !== null);
  const init = initOf(bed, host);
  // The disk comes last: images on it must not be written to after they were shut down.
  const disk = init === null ? [] : [diskOf(init.pid)];
  return [...volumes.filter((path) => !disk.includes(path)), ...disk];
}

function sanDevice(bed: BedPaths): string {
  return deviceNumber(statSync(sanDirectory(bed)).dev);
}

/** The SAN, as this machine can reach it: through the switch, which has it mounted. */
export function sanDirectory(bed: BedPaths): string {
  return `/proc/${switchOf(bed).pid}/root${bed.sanMount}`;
}

/**
 * What the SAN has of the volumes that this host alone has attached, at this moment. The kernel
 * writes a block device's dirty pages when it is closed, which a host without power would not have
 * done.
 */
async function freezeImages(
  bed: BedPaths,
  loops: readonly HostLoop[],
): Promise<{ putBack(): Promise<void> }> {
  const san = sanDirectory(bed);
  const device = sanDevice(bed);
  const all = await listLoops();
  const alone = loops.filter(
    (loop) =>
      loop.fileDevice === device &&
      all.filter(
        ({ fileDevice, fileInode }) => fileDevice === device && fileInode === loop.fileInode,
      ).length === 1,
  );
  const copies: { readonly file: string; readonly copy: string }[] = [];
  for (const { fileInode } of alone) {
    const found = await run("find", san, "-xdev", "-inum", String(fileInode), "-print", "-quit");
    const file = found.trim();
    if (file === "") continue;
    const copy = join(san, `.crash-${fileInode}`);
    await run("cp", "--reflink=always", file, copy);
    copies.push({ file, copy });
  }
  return {
    putBack: async () => {
      for (const { file, copy } of copies) {
        if (existsSync(file)) await run("xfs_io", "-c", `reflink ${copy}`, file);
        rmSync(copy);
      }
    },
  };
}

/**
 * Loop devices that a dead host has left: no process has them mounted or open. A living host may
 * just be between attaching and opening one, so they must stay unused for a while.
 */
async function detachUnused(bed: BedPaths): Promise<void> {
  const looks = 4;
  let unused: readonly Loop[] = loopsBelow(bed.root, await listLoops());
  for (let look = 0; look < looks && unused.length > 0; look += 1) {
    if (look > 0) await sleep(50);
    const used = devicesInUse();
    unused = unused.filter(({ name, device }) => !used.has(name) && !used.has(device));
  }
  for (const { name } of unused) await detachLoop(name);
}

/** Each block device that a process of this machine has mounted (by number) or open (by name). */
function devicesInUse(): ReadonlySet<string> {
  const used = new Set<string>();
  const namespaces = new Set<string>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const path of openDevices(Number(entry))) used.add(path);
    const namespace = linkOf(`/proc/${entry}/ns/mnt`);
    if (namespace === null || namespaces.has(namespace)) continue;
    namespaces.add(namespace);
    for (const { device } of mountsOf(Number(entry))) used.add(device);
  }
  return used;
}
