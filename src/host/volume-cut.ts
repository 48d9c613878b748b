import { rm } from "node:fs/promises";
import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import { readSysfs } from "../lib/block-device.ts";
import { findDeviceUsers, type FileUser } from "../lib/directory-users.ts";
import { messageOf } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import { killHolder, processesOfContainers } from "./end-users.ts";
import {
  childOptions,
  type HostPaths,
  notedDevice,
  notePath,
  shownPath,
  volumePath,
} from "./host-paths.ts";
import { mountAt, readMountinfo } from "../lib/mountinfo.ts";
import { deviceNumbers, findReachable, foreignMounts } from "./volume-holders.ts";

/**
 * See `Host.cut`. The order is the point: an unmount before the shutdown would write old pages
 * into a disk that another host may have mounted, and so might whoever is told to end. If the
 * shutdown fails, nothing is unmounted.
 */
export async function cutVolume(paths: HostPaths, datasetId: DatasetId, call: Call): Promise<void> {
  const device = await notedDevice(paths, datasetId);
  const path = await findReachable(paths, datasetId);
  // An open file alone may be left of it, which no mountinfo shows.
  const hidden = path === null ? await usersOf(paths, datasetId, call) : [];
  const reachable = path ?? hidden.map(pathOf).find((found) => found !== null) ?? null;
  if (reachable !== null) {
    // FS_IOC_SHUTDOWN without flushing the log: ext4 and xfs understand it alike.
    await exec("xfs_io", ["-x", "-c", "shutdown", reachable], childOptions(call));
    call.log.warn("volume.cut", { datasetId, path: reachable });
  }
  await endUsers(paths, datasetId, hidden, call);
  for (const own of [shownPath(paths, datasetId), volumePath(paths, datasetId)]) {
    if (mountAt(await readMountinfo(), own) !== null) {
      await exec("umount", ["-l", "--", own], childOptions(call));
    }
  }
  if (device !== null && (await readSysfs(device.path, "loop/backing_file")) !== null) {
    await dropLoop(device.path, call);
  }
  // Whoever still has it cannot write any more: it is no holder of the volume from here on.
  await rm(notePath(paths, datasetId), { force: true });
}

/** They cannot write any more; what goes on would only serve what it still has in memory. */
async function endUsers(
  paths: HostPaths,
  datasetId: DatasetId,
  hidden: readonly FileUser[],
  call: Call,
): Promise<void> {
  const users = hidden.length > 0 ? hidden : await usersOf(paths, datasetId, call);
  const containers = await processesOfContainers(await foreignMounts(paths, datasetId, null));
  const pids = new Set([...containers, ...users.map(({ pid }) => pid)]);
  for (const pid of pids) await killHolder(pid, datasetId, call);
}

async function usersOf(
  paths: HostPaths,
  datasetId: DatasetId,
  call: Call,
): Promise<readonly FileUser[]> {
  const found: FileUser[] = [];
  for (const number of await deviceNumbers(paths, datasetId, null, await readMountinfo())) {
    found.push(...(await findDeviceUsers(number, childOptions(call))));
  }
  return found;
}

/** By which the file system can be reached as long as its process lives; a mapping is no path. */
function pathOf({ pid, how }: FileUser): string | null {
  return how.startsWith("map ") ? null : `/proc/${pid}/${how.replace(" ", "/")}`;
}

/** The kernel drops it with its last user; nothing can be written any more either way. */
async function dropLoop(path: string, call: Call): Promise<void> {
  try {
    await exec("losetup", ["-d", path], childOptions(call));
  } catch (error) {
    call.log.warn("device.drop_failed", { device: path, err: messageOf(error) });
  }
}
