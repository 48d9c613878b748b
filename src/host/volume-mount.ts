import { rmdir, writeFile } from "node:fs/promises";
import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import type { FileSystem } from "../domain/record.ts";
import type { Device, Identity } from "../domain/volume.ts";
import { FlockerError, hasCode, messageOf } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import {
  childOptions,
  type HostPaths,
  notePath,
  sameDevice,
  shellArgs,
  volumePath,
} from "./host-paths.ts";
import { execOnDevice, pinned } from "./pinned-device.ts";
import { unmount } from "./unmount.ts";
import {
  checkStamp,
  decodeBlock,
  encodeSlot,
  identityFile,
  rejected,
} from "../backends/identity-block.ts";
import { mountAt, readMountinfo } from "../lib/mountinfo.ts";
import { lookClosely } from "./volume-look.ts";
import { makeDirectory } from "../lib/system.ts";

const mountOptions: Readonly<Record<FileSystem, string>> = {
  ext4: "rw,errors=remount-ro",
  xfs: "rw",
};

/** See `Host.mountVolume`. A volume that is mounted from this very device is only verified. */
export async function mountVolume(
  paths: HostPaths,
  device: Device,
  target: { readonly identity: Identity; readonly fileSystem: FileSystem },
  call: Call,
): Promise<void> {
  const { identity, fileSystem } = target;
  const { deviceNumber } = await sameDevice(device);
  const where = volumePath(paths, identity.datasetId);
  await makeDirectory(where, 0o700);
  const before = mountAt(await readMountinfo(), where);
  if (before !== null && before.deviceNumber !== deviceNumber) {
    throw new FlockerError("VOLUME_BUSY", `${where} has another device mounted.`);
  }
  if (before !== null) return verifyAndStamp(paths, device, identity, call);

  await verifyAndStampUnmounted(paths, device, target, call);
  await using undo = new AsyncDisposableStack();
  // Not under the caller's signal: nothing stays mounted that was not verified.
  undo.defer(() => unmount(where, { ...call, signal: new AbortController().signal }));
  // By its path, which people see in mountinfo; what it leads to is looked at before and after.
  const options = ["-t", fileSystem, "-o", mountOptions[fileSystem]];
  await execOnDevice(device, ["mount", ...options, "--", device.path, where], childOptions(call));
  await verifyAndStamp(paths, device, identity, call);
  undo.move();
}

/**
 * Before the mount, and written in a namespace of its own: if the agent is killed in between, what
 * it finds mounted afterwards bears its claim's generation.
 */
async function verifyAndStampUnmounted(
  paths: HostPaths,
  device: Device,
  target: { readonly identity: Identity; readonly fileSystem: FileSystem },
  call: Call,
): Promise<void> {
  const { identity, fileSystem } = target;
  const { content, block } = await lookClosely(paths, device, { ...identity, fileSystem }, call);
  if (content.kind !== "ours" || block?.kind !== "valid") {
    const detail = content.kind === "foreign" ? content.detail : `it is ${content.kind}`;
    throw rejected("IDENTITY_MISMATCH", `Device ${device.path}: ${detail}.`);
  }
  checkStamp(content.identity, identity);
  if (content.identity.generation === identity.generation) return;
  const { slot, counter } = block.next;
  const args = [fileSystem, mountOptions[fileSystem], pinned, `${paths.runDir}/look`];
  const script = shellArgs(stampScript, [...args, ...slotArgs(identityFile, slot)]);
  const alone = ["unshare", "--mount", "--propagation", "private", "sh", ...script];
  await execOnDevice(device, alone, {
    ...childOptions(call),
    input: encodeSlot({ counter, identity }),
  });
}

const stampScript = `
mount -c -t "$1" -o "$2" -- "$3" "$4"
cd "$4"
where=$4
shift 4
dd "$@"
cd /
umount "$where"
`;

/** Arguments of dd, which fails when the fsync does. */
function slotArgs(file: string, slot: 0 | 1): readonly string[] {
  return [
    `of=${file}`,
    `seek=${slot}`,
    "bs=4096",
    "count=1",
    "iflag=fullblock",
    "oflag=nofollow",
    "conv=notrunc,nocreat,fsync",
    "status=none",
  ];
}

/** Through the mount: is it this device and identity; then the claim's generation is written. */
async function verifyAndStamp(
  paths: HostPaths,
  device: Device,
  identity: Identity,
  call: Call,
): Promise<void> {
  const { deviceNumber } = await sameDevice(device);
  const where = volumePath(paths, identity.datasetId);
  const mount = mountAt(await readMountinfo(), where);
  if (mount?.deviceNumber !== deviceNumber || mount.root !== "/") {
    throw rejected("IDENTITY_MISMATCH", `${where} does not show ${device.path}.`);
  }
  const file = `${where}/${identityFile}`;
  const { stdout } = await exec("base64", ["-w", "0", "--", file], childOptions(call));
  const block = decodeBlock(Buffer.from(stdout, "base64"));
  if (block.kind !== "valid") {
    throw rejected("IDENTITY_MISMATCH", `The identity block on ${device.path} is ${block.kind}.`);
  }
  checkStamp(block.identity, identity);
  await makeDirectory(`${paths.runDir}/devices`, 0o700);
  const note = `${device.path}\n${device.diskSequence}\n`;
  await writeFile(notePath(paths, identity.datasetId), note);
  if (block.identity.generation === identity.generation) return;
  await exec("dd", slotArgs(file, block.next.slot), {
    ...childOptions(call),
    input: encodeSlot({ counter: block.next.counter, identity }),
  });
}

/** See `Host.unmountVolume`. */
export async function unmountVolume(
  paths: HostPaths,
  datasetId: DatasetId,
  call: Call,
): Promise<void> {
  const where = volumePath(paths, datasetId);
  if (mountAt(await readMountinfo(), where) !== null) {
    await flush(where, call);
    await unmount(where, call);
  }
  await rmdir(where).catch(ignoreMissing);
}

/**
 * umount(2) says nothing of writes that fail; syncfs(2) does. There is no better moment to know.
 */
async function flush(where: string, call: Call): Promise<void> {
  try {
    await exec("sync", ["-f", where], childOptions(call));
  } catch (error) {
    if (!hasCode(error, "COMMAND_FAILED")) throw error;
    call.log.error("volume.flush_failed", { path: where, err: messageOf(error) });
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
}
