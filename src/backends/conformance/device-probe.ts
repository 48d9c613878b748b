import { randomUUID } from "node:crypto";
import type { Device } from "../../domain/volume.ts";
import { type BlockDevice, readBlockDevice } from "../../lib/block-device.ts";
import { holdDevice } from "../../lib/exclusive-hold.ts";
import { exec } from "../../lib/exec.ts";
import type { DeviceProbe } from "./attachable-bench.ts";

const textBytes = 512;
const limits = { deadlineMs: 20_000 };

/** The probe of drivers whose devices are block devices of this machine, as all real ones are. */
export const blockDeviceProbe: DeviceProbe = {
  write: async (device, text) => {
    await sameDisk(device); // A path of another disk now: not this device any more.
    const script = 'printf %s "$1" | dd of="$2" bs=512 conv=sync,notrunc,nocreat,fsync status=none';
    await exec("sh", ["-euc", script, "sh", text, device.path], limits);
  },
  read: async (device) => {
    await sameDisk(device);
    await exec("blockdev", ["--flushbufs", device.path], limits);
    const { stdout } = await exec("head", ["-c", String(textBytes), device.path], limits);
    return stdout.replaceAll("\0", "");
  },
  sizeBytes: async (device) => (await sameDisk(device)).sizeBytes,
  use: async (device) => {
    const mount = `/run/flocker-probe-${randomUUID()}`;
    await exec("mkfs.ext4", ["-q", "-F", device.path], limits);
    await exec("mkdir", [mount], limits);
    await exec("mount", [device.path, mount], limits);
    return {
      [Symbol.asyncDispose]: async () => {
        await exec("umount", [mount], limits);
        await exec("rmdir", [mount], limits);
      },
    };
  },
  hold: async (device) => {
    const hold = await holdDevice(device, { deadlineMs: 5000, busyMsMax: 0 });
    return { [Symbol.asyncDispose]: hold.release };
  },
};

async function sameDisk(device: Device): Promise<BlockDevice> {
  const found = await readBlockDevice(device.path);
  if (found?.diskSequence === device.diskSequence && found.sizeBytes > 0) return found;
  throw new Error(`${device.path} is gone`);
}
