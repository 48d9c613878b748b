import { readFile, readdir, readlink } from "node:fs/promises";
import { readBlockDevice } from "./block-device.ts";
import { startChild } from "./child.ts";
import { FlockerError } from "./errors.ts";

/** A device that nobody else can mount or hold until `release`. */
export type DeviceHold = { readonly release: () => Promise<void> };

const marker = "flocker-exclusive-hold";

/**
 * The kernel lets one holder at a time open a block device with O_EXCL; a mount is a holder too, in
 * whatever namespace, also when it is only kept by an open file after a lazy unmount. EBUSY is
 * tried again for a moment: each start of a container copies all mounts until its pivot_root. A
 * loop device stays as long as anybody has it open, so the hold lets go once the kernel was asked
 * to drop it.
 */
const script = `
const { openSync, readFileSync, constants } = require("node:fs");
const [, path, busyMsMax] = process.argv.slice(1);
const autoclear = "/sys/class/block/" + path.split("/").at(-1) + "/loop/autoclear";
const begunMs = Date.now();
const dropped = () => {
  try {
    return readFileSync(autoclear, "utf8").trim() === "1";
  } catch {
    return false;
  }
};
const attempt = () => {
  try {
    openSync(path, constants.O_RDONLY | constants.O_EXCL);
    process.stdout.write("held\\n");
    setInterval(() => dropped() && process.exit(0), 5);
  } catch (error) {
    const busy = error.code === "EBUSY" && Date.now() - begunMs < Number(busyMsMax);
    if (busy) setTimeout(attempt, 20);
    else process.stdout.write(error.code + "\\n", () => process.exit(1));
  }
};
process.stdin.on("close", () => process.exit(0)).resume();
attempt();
`;

/**
 * Opens a block device exclusively in a child that keeps it open until `release`, or until this
 * process ends however it ends. Somebody else's hold is `VOLUME_BUSY`; another disk under this
 * path is `BACKEND_REJECTED`.
 */
export async function holdDevice(
  device: { readonly path: string; readonly diskSequence: number },
  limits: { readonly deadlineMs: number; readonly busyMsMax: number },
): Promise<DeviceHold> {
  const { path, diskSequence } = device;
  const args = ["-e", script, marker, path, String(limits.busyMsMax)];
  const child = startChild(process.execPath, args);
  const timer = setTimeout(() => void child.end(0), limits.deadlineMs);
  try {
    const line = await child.firstLine;
    if (line === "EBUSY") {
      throw new FlockerError("VOLUME_BUSY", `${path} is mounted or held by somebody`, {
        details: { device: path },
      });
    }
    if (line !== "held") {
      throw new FlockerError("BACKEND_UNAVAILABLE", `${path} cannot be opened: ${line}`);
    }
    if ((await readBlockDevice(path))?.diskSequence !== diskSequence) {
      throw new FlockerError("BACKEND_REJECTED", `${path} is another disk than it was`, {
        details: { device: path, diskSequence },
      });
    }
  } catch (error) {
    await child.end();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return { release: () => child.end() };
}

/** True while a child of `holdDevice`, of whichever process, has this device. */
export async function isHeldByFlocker(path: string): Promise<boolean> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if (await holds(pid, path)) return true;
  }
  return false;
}

async function holds(pid: string, path: string): Promise<boolean> {
  try {
    const args = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    const at = args.indexOf(marker);
    if (at < 0 || args[at + 1] !== path) return false;
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      if ((await readlink(`/proc/${pid}/fd/${fd}`)) === path) return true;
    }
  } catch {
    // The process, or one of its files, ended while it was looked at: it holds nothing.
  }
  return false;
}
