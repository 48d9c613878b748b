import { readFile } from "node:fs/promises";
import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import type { Device } from "../domain/volume.ts";
import { type BlockDevice, readBlockDevice } from "../lib/block-device.ts";
import { FlockerError } from "../lib/errors.ts";
import type { ExecOptions } from "../lib/exec.ts";

/** Where this agent's mounts lie. */
export type HostPaths = {
  /** What containers see: `<mountRoot>/<dataset id>`. */
  readonly mountRoot: string;
  /** On a tmpfs: private mounts and notes of this boot. */
  readonly runDir: string;
};

/** The private mount of a whole volume. */
export function volumePath(paths: HostPaths, datasetId: DatasetId): string {
  return `${paths.runDir}/vol/${datasetId}`;
}

/** Where containers see `data/` of a volume. */
export function shownPath(paths: HostPaths, datasetId: DatasetId): string {
  return `${paths.mountRoot}/${datasetId}`;
}

/** Which device a volume was mounted from: still known when only others have it mounted. */
export function notePath(paths: HostPaths, datasetId: DatasetId): string {
  return `${paths.runDir}/devices/${datasetId}`;
}

/** How a child is run for a call: its lock, deadline and cancel. */
export function childOptions(call: Call): ExecOptions {
  return { signal: call.signal, deadlineMs: call.deadlineMs, lockFile: call.lockFile };
}

/** Runs a shell script with arguments as `$1`…; for what needs several programs in one child. */
export function shellArgs(script: string, args: readonly string[]): readonly string[] {
  return ["-euc", script, "flocker", ...args];
}

/**
 * The device as the kernel has it: known by its sequence, never as "the one that appeared". Gone,
 * or another disk under the same name, is `BACKEND_REJECTED`.
 */
export async function sameDevice(device: Device): Promise<BlockDevice> {
  const found = await readBlockDevice(device.path);
  if (found?.diskSequence === device.diskSequence) return found;
  throw new FlockerError(
    "BACKEND_REJECTED",
    found === null
      ? `Device ${device.path} is gone.`
      : `Device ${device.path} is another disk than the one that was attached.`,
    { details: { device: device.path, diskSequence: device.diskSequence } },
  );
}

/** The device that a volume was last mounted from in this boot, if that disk is still there. */
export async function notedDevice(paths: HostPaths, datasetId: DatasetId): Promise<Device | null> {
  try {
    const [path = "", sequence] = (await readFile(notePath(paths, datasetId), "utf8")).split("\n");
    const device = { path, diskSequence: Number(sequence) };
    await sameDevice(device);
    return device;
  } catch {
    return null; // Never mounted in this boot, or that disk is gone since.
  }
}
