import type { Call } from "../backends/attachable.ts";
import type { FileSystem } from "../domain/record.ts";
import type { Device, Identity } from "../domain/volume.ts";
import { FlockerError } from "../lib/errors.ts";
import { newBlock } from "../backends/identity-block.ts";
import { childOptions, type HostPaths, shellArgs } from "./host-paths.ts";
import { execOnDevice, pinned } from "./pinned-device.ts";
import { look } from "./volume-look.ts";

/**
 * Discarding is left out: a new volume reads as zeros, and on a thin one it takes minutes. ext4
 * keeps no blocks for root, and no multi-mount protection: it costs 45 s after each crash.
 */
const mkfs: Readonly<Record<FileSystem, string>> = {
  ext4: "mkfs.ext4 -q -F -m 0 -O ^mmp -E nodiscard,lazy_itable_init=1 -U",
  xfs: "mkfs.xfs -q -f -K -m",
};
const uuidPrefix: Readonly<Record<FileSystem, string>> = { ext4: "", xfs: "uuid=" };

/** The identity comes last and by rename: without it the mkfs counts as unfinished. */
const layoutScript = `
mount -c -t "$1" -- "$2" "$3"
cd "$3"
chmod 0700 .
mkdir data
chmod 0777 data
sync -f .
dd of=identity.new bs=4096 count=2 iflag=fullblock conv=fsync status=none
mv -T identity.new identity
sync .
sync -f .
cd /
umount "$3"
`;

/** See `Host.format`. Refuses with `BACKEND_REJECTED` what is neither blank nor our unfinished. */
export async function formatVolume(
  paths: HostPaths,
  device: Device,
  target: { readonly identity: Identity; readonly fileSystem: FileSystem },
  call: Call,
): Promise<void> {
  const { identity, fileSystem } = target;
  const content = await look(paths, device, { ...identity, fileSystem }, call);
  if (content.kind !== "blank" && content.kind !== "unfinished") {
    throw new FlockerError(
      "BACKEND_REJECTED",
      `Device ${device.path} is not blank; it was not formatted.`,
      { details: { condition: "VOLUME_NOT_BLANK", device: device.path, content: content.kind } },
    );
  }
  const [command = "", ...options] = mkfs[fileSystem].split(" ");
  const uuid = `${uuidPrefix[fileSystem]}${identity.datasetId}`;
  await execOnDevice(device, [command, ...options, uuid, pinned], childOptions(call));
  const layout = shellArgs(layoutScript, [fileSystem, pinned, `${paths.runDir}/look`]);
  const alone = ["unshare", "--mount", "--propagation", "private", "sh", ...layout];
  const input = newBlock(identity);
  await execOnDevice(device, alone, { ...childOptions(call), input });
}
