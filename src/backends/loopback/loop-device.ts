import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Device } from "../../domain/volume.ts";
import { readBlockDevice, readSysfs } from "../../lib/block-device.ts";
import { FlockerError } from "../../lib/errors.ts";
import { holdDevice, isHeldByFlocker } from "../../lib/exclusive-hold.ts";
import { exec, type ExecOptions } from "../../lib/exec.ts";
import type { Call } from "../attachable.ts";

/** A loop device with the name of the file that it was set up from. */
export type LoopDevice = Device & { readonly fileName: string; readonly sizeBytes: number };

/**
 * The kernel's loop devices whose file's name fits. The names of attachments carry node and era:
 * devices of other nodes, which a shared kernel shows as well, never fit.
 */
export async function findLoops(fits: (fileName: string) => boolean): Promise<LoopDevice[]> {
  const names = (await readdir("/sys/class/block")).filter((name) => /^loop\d+$/.test(name));
  const found: LoopDevice[] = [];
  for (const name of names) {
    const path = `/dev/${name}`;
    const file = await readSysfs(path, "loop/backing_file");
    const fileName = basename((file ?? "").replace(/ \(deleted\)$/, ""));
    if (file === null || !fits(fileName)) continue;
    const device = await readBlockDevice(path);
    if (device === null) continue;
    const { diskSequence, sizeBytes } = device;
    found.push({ path, diskSequence, fileName, sizeBytes });
  }
  return found;
}

/** Sets up a loop device for a file, with direct I/O where the file system of the file can. */
export async function setUpLoop(file: string, call: Call): Promise<LoopDevice> {
  const args = ["--find", "--show", "--", file];
  const { stdout } = await exec("losetup", args, options(call));
  const path = stdout.trim();
  // Without it pages are cached twice, and what is written twice can be lost twice.
  await exec("losetup", ["--direct-io=on", path], { ...options(call), okStatuses: [1] });
  const device = await readBlockDevice(path);
  const shown = await readSysfs(path, "loop/backing_file");
  if (device === null || basename(shown ?? "") !== basename(file)) {
    throw new FlockerError("BACKEND_REJECTED", `${path} was taken away while it was set up.`);
  }
  return {
    path,
    diskSequence: device.diskSequence,
    fileName: basename(file),
    sizeBytes: device.sizeBytes,
  };
}

/**
 * Removes a loop device. `losetup -d` of a device that somebody has open succeeds and removes
 * nothing until the last one has closed it: so nobody may hold it when it is asked for (but for the
 * agent's own exclusive hold, which lets go then), and only a device that is gone counts. In use is
 * `VOLUME_BUSY`.
 */
export async function dropLoop(loop: LoopDevice, call: Call): Promise<void> {
  await using stack = new AsyncDisposableStack();
  if (!(await isHeldByFlocker(loop.path))) {
    const hold = await holdDevice(loop, { deadlineMs: call.deadlineMs, busyMsMax: 500 });
    stack.defer(hold.release);
  }
  if (!(await isThere(loop))) return;
  await exec("losetup", ["-d", loop.path], options(call));
  const waitMsMax = Math.min(3000, call.deadlineMs);
  const stepMs = 5;
  for (let waitedMs = 0; waitedMs < waitMsMax; waitedMs += stepMs) {
    if (!(await isThere(loop))) return;
    await sleep(stepMs);
  }
  throw new FlockerError("VOLUME_BUSY", `${loop.path} is still open by somebody.`, {
    details: { device: loop.path },
  });
}

async function isThere(loop: LoopDevice): Promise<boolean> {
  const device = await readBlockDevice(loop.path);
  if (device?.diskSequence !== loop.diskSequence) return false;
  return (await readSysfs(loop.path, "loop/backing_file")) !== null;
}

function options(call: Call): ExecOptions {
  return { signal: call.signal, deadlineMs: call.deadlineMs, lockFile: call.lockFile };
}
