import type { Device } from "../domain/volume.ts";
import { FlockerError } from "../lib/errors.ts";
import { exec, type ExecOptions, type ExecResult } from "../lib/exec.ts";
import { shellArgs } from "./host-paths.ts";

/** What a program that runs under `execOnDevice` calls the device. */
export const pinned = "/dev/fd/9";

/**
 * The kernel never gives the number of a device away while somebody has it open: what the
 * descriptor leads to is that disk or nothing, whatever its path leads to by now. 9
 * is the last that a plain shell knows; the lower ones are taken, one of them by the lock.
 */
const pin = `
exec 9<"$1" || exit 93
rdev=$(stat -L -c "%t %T" /dev/fd/9)
number=$((0x\${rdev% *})):$((0x\${rdev#* }))
sequence=$(cat "/sys/dev/block/$number/diskseq" 2>/dev/null) || exit 93
[ "$sequence" = "$2" ] || exit 93
shift 2
exec "$@"
`;
const anotherDisk = 93;

/**
 * Runs a program that finds the device at `pinned`. Another disk at the device's path than the one
 * that was attached is `BACKEND_REJECTED`, and the program is not begun.
 */
export async function execOnDevice(
  device: Device,
  command: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  const args = shellArgs(pin, [device.path, String(device.diskSequence), ...command]);
  const okStatuses = [...(options.okStatuses ?? []), anotherDisk];
  const result = await exec("sh", args, { ...options, okStatuses });
  if (result.status !== anotherDisk) return result;
  throw new FlockerError(
    "BACKEND_REJECTED",
    `Device ${device.path} is another disk than the one that was attached.`,
    { details: { device: device.path, diskSequence: device.diskSequence } },
  );
}
