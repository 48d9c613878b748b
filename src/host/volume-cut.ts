import { rm } from "node:fs/promises";
import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import { readSysfs } from "../lib/block-device.ts";
import { messageOf } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import {
  childOptions,
  type HostPaths,
  notedDevice,
  notePath,
  shownPath,
  volumePath,
} from "./host-paths.ts";
import { mountAt, readMountinfo } from "../lib/mountinfo.ts";
import { findReachable } from "./volume-holders.ts";

/**
 * See `Host.cut`. The order is the point: an unmount before the shutdown would write old pages
 * into a disk that another host may have mounted. If the shutdown fails, nothing is unmounted.
 */
export async function cutVolume(paths: HostPaths, datasetId: DatasetId, call: Call): Promise<void> {
  const own = [shownPath(paths, datasetId), volumePath(paths, datasetId)];
  const device = await notedDevice(paths, datasetId);
  const reachable = await findReachable(paths, datasetId);
  if (reachable !== null) {
    // FS_IOC_SHUTDOWN without flushing the log: ext4 and xfs understand it alike.
    await exec("xfs_io", ["-x", "-c", "shutdown", reachable], childOptions(call));
    call.log.warn("volume.cut", { datasetId, path: reachable });
  }
  for (const path of own) {
    if (mountAt(await readMountinfo(), path) !== null) {
      await exec("umount", ["-l", "--", path], childOptions(call));
    }
  }
  if (device !== null && (await readSysfs(device.path, "loop/backing_file")) !== null) {
    await dropLoop(device.path, call);
  }
  // Whoever still has it cannot write any more: it is no holder of the volume from here on.
  await rm(notePath(paths, datasetId), { force: true });
}

/** The kernel drops it with its last user; nothing can be written any more either way. */
async function dropLoop(path: string, call: Call): Promise<void> {
  try {
    await exec("losetup", ["-d", path], childOptions(call));
  } catch (error) {
    call.log.warn("device.drop_failed", { device: path, err: messageOf(error) });
  }
}
