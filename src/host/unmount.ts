import type { Call } from "../backends/attachable.ts";
import { FlockerError } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import { childOptions } from "./host-paths.ts";
import { findOpeners } from "./volume-holders.ts";

/** `umount` of one path; not mounted is fine, in use is `VOLUME_BUSY` and says by whom. */
export async function unmount(path: string, call: Call): Promise<void> {
  const args = ["LC_ALL=C", "umount", "--", path];
  const { status, stderr } = await exec("env", args, {
    ...childOptions(call),
    okStatuses: [1, 32],
  });
  if (status === 0 || /not mounted|no mount point/.test(stderr)) return;
  if (!/busy/.test(stderr)) {
    throw new FlockerError("COMMAND_FAILED", `${path} cannot be unmounted: ${stderr.trim()}`);
  }
  const users = (await findOpeners(path)).map(({ pid, command }) => `${pid} (${command})`);
  throw new FlockerError(
    "VOLUME_BUSY",
    `${path} is in use by ${users.length === 0 ? "somebody" : `process ${users.join(", ")}`}.`,
    { details: { path } },
  );
}
