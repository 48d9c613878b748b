import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import { exec } from "../lib/exec.ts";
import { childOptions, type HostPaths, shownPath } from "./host-paths.ts";

/**
 * Whether the container engine sees, under the path that containers get, the very directory that we
 * show: same device number and inode, through the root directory and mount namespace of its
 * process. False means that a container would get the empty directory underneath (wrong
 * propagation).
 */
export async function seenByEngine(
  paths: HostPaths,
  datasetId: DatasetId,
  enginePid: number,
  call: Call,
): Promise<boolean> {
  const path = shownPath(paths, datasetId);
  const args = ["-c", "%d %i", "--", path, `/proc/${enginePid}/root${path}`];
  const missing = 1;
  const options = { ...childOptions(call), okStatuses: [missing] };
  const { status, stdout } = await exec("stat", args, options);
  if (status !== 0) return false;
  const [ours, theirs] = stdout.split("\n");
  return ours === theirs;
}
