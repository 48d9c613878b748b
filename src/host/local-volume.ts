import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import type { Holder } from "../domain/volume.ts";
import { findDirectoryUsers } from "../lib/directory-users.ts";
import { FlockerError } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import { type Mount, mountAt, mountOf, readMountinfo } from "../lib/mountinfo.ts";
import { killHolder } from "./end-users.ts";
import { childOptions, type HostPaths, shownPath, volumePath } from "./host-paths.ts";
import { describeHolder, placeUnder } from "./volume-holders.ts";
import { makeDirectory } from "../lib/system.ts";

/** See `LocalHost.bindVolume`. */
export async function bindVolume(
  paths: HostPaths,
  datasetId: DatasetId,
  path: string,
  call: Call,
): Promise<void> {
  const where = volumePath(paths, datasetId);
  const { stdout } = await exec("realpath", ["-e", "--", path], childOptions(call));
  const real = stdout.trim();
  const mounts = await readMountinfo();
  const before = mountAt(mounts, where);
  if (before !== null && shows(mounts, before, real)) return;
  if (before !== null) {
    throw new FlockerError("VOLUME_BUSY", `${where} has something else mounted.`);
  }
  await makeDirectory(where, 0o700);
  await exec("mount", ["--bind", "--", real, where], childOptions(call));
}

/** True if the mount shows this very directory. */
function shows(mounts: readonly Mount[], mount: Mount, real: string): boolean {
  const below = mountOf(mounts, real);
  if (below?.deviceNumber !== mount.deviceNumber) return false;
  const inside = real.slice(below.mountPoint === "/" ? 0 : below.mountPoint.length);
  return mount.root === ((below.root === "/" ? "" : below.root) + inside || "/");
}

/** See `LocalHost.holdersAt`. */
export async function holdersAt(
  paths: HostPaths,
  datasetId: DatasetId,
  path: string,
  call: Call,
): Promise<readonly Holder[]> {
  const users = await findDirectoryUsers(path, call);
  const own = await readMountinfo();
  const places = [volumePath(paths, datasetId), shownPath(paths, datasetId)].map((ours) =>
    placeUnder(own, ours),
  );
  const found = new Map<string, Promise<Holder>>();
  for (const { pid, mount, place } of users.mounts) {
    if (places.includes(place)) continue;
    found.set(pid === null ? mount.mountPoint : String(pid), describeHolder(pid, mount));
  }
  for (const { pid } of users.files) found.set(String(pid), describeHolder(pid, null));
  for (const loop of users.loops) {
    const command = `loop device ${loop}`;
    found.set(loop, Promise.resolve({ pid: null, command, container: null }));
  }
  return Promise.all(found.values());
}

/**
 * See `LocalHost.stop`. Killed first: what is unmounted under a writer goes on in a mount that is
 * nowhere to be seen.
 */
export async function stopAccess(
  paths: HostPaths,
  datasetId: DatasetId,
  path: string,
  call: Call,
): Promise<void> {
  for (const { pid } of await holdersAt(paths, datasetId, path, call)) {
    if (pid !== null) await killHolder(pid, datasetId, call);
  }
  for (const ours of [shownPath(paths, datasetId), volumePath(paths, datasetId)]) {
    if (mountAt(await readMountinfo(), ours) === null) continue;
    await exec("umount", ["-l", "--", ours], childOptions(call));
  }
}
