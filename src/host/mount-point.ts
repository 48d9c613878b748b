import type { Call } from "../backends/attachable.ts";
import type { DatasetId } from "../domain/ids.ts";
import { FlockerError } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import { childOptions, type HostPaths, shownPath, volumePath } from "./host-paths.ts";
import { unmount } from "./unmount.ts";
import { mountAt, mountOf, readMountinfo } from "../lib/mountinfo.ts";
import { makeDirectory } from "../lib/system.ts";

/**
 * The directories that containers are given. Nobody, root included, can write into one while
 * nothing is mounted there, and Docker cannot make one that is not there: root directory and mount
 * points are immutable (chattr +i; mode 000 does not stop root). Where the file system knows no
 * such flag, an empty read-only tmpfs lies over the root directory.
 */
export class MountPoints {
  readonly #paths: HostPaths;
  /** The root directory is writable for moments; one change of it at a time. */
  #turn: Promise<void> = Promise.resolve();

  constructor(paths: HostPaths) {
    this.#paths = paths;
  }

  /** See `Host.show`. */
  async show(datasetId: DatasetId, call: Call): Promise<void> {
    const { mountRoot } = this.#paths;
    const target = shownPath(this.#paths, datasetId);
    const volume = mountAt(await readMountinfo(), volumePath(this.#paths, datasetId));
    if (volume === null) {
      throw new FlockerError("INTERNAL", `Dataset ${datasetId} is not mounted, nothing to show.`);
    }
    const shown = mountAt(await readMountinfo(), target);
    // Volumes of one btrfs have one device number: only the directory tells them apart.
    const root = volume.root === "/" ? "/data" : `${volume.root}/data`;
    if (shown !== null && (shown.deviceNumber !== volume.deviceNumber || shown.root !== root)) {
      throw new FlockerError("VOLUME_BUSY", `${target} has something else mounted.`);
    }
    if (shown !== null) return;
    await this.#changeRoot(call, async (guard) => {
      await this.#ensureShared(call);
      await run("mkdir", ["-p", "-m", "0755", "--", target], call);
      if (guard === "flag") await run("chattr", ["+i", "--", target], call);
    });
    await refuseIfUsed(target, call);
    const source = `${volumePath(this.#paths, datasetId)}/data`;
    await run("mount", ["--bind", "--", source, target], call);
    call.log.debug("mount_point.made", { datasetId, mountRoot });
  }

  /** See `Host.hide`. */
  async hide(datasetId: DatasetId, call: Call): Promise<void> {
    const target = shownPath(this.#paths, datasetId);
    const stackedMax = 8;
    for (let count = 0; count < stackedMax; count += 1) {
      if (mountAt(await readMountinfo(), target) === null) break;
      await unmount(target, call);
    }
    if (!(await exists(target, call))) return;
    await this.#changeRoot(call, async (guard) => {
      if (guard === "flag") await run("chattr", ["-i", "--", target], call);
      await run("rmdir", ["--", target], call);
    });
  }

  /**
   * Makes the root directory and its guard, so that nothing can be made in it from now on; removes
   * mount points that a crash left: a container that names one must fail to start.
   */
  prepare(call: Call): Promise<void> {
    return this.#changeRoot(call, async (guard) => {
      await this.#ensureShared(call);
      const mounts = await readMountinfo();
      // Names alone: looking closer could stall on what is mounted there.
      const { mountRoot } = this.#paths;
      const { stdout } = await exec("ls", ["-A", "-U", "-1", "--", mountRoot], childOptions(call));
      const names = stdout.split("\n").filter((name) => name !== "");
      const paths = names.map((name) => `${mountRoot}/${name}`);
      for (const path of paths.filter((name) => mountAt(mounts, name) === null)) {
        if (guard === "flag") await run("chattr", ["-i", "--", path], call);
        const notEmpty = 1; // Somebody's files: left alone, and named when it is to be shown.
        await exec("rmdir", ["--", path], { ...childOptions(call), okStatuses: [notEmpty] });
      }
    });
  }

  /** Takes the guard away again, when nothing is mounted below. */
  async dismantle(call: Call): Promise<void> {
    const { mountRoot } = this.#paths;
    await this.#changeRoot(call, async () => {});
    if (mountAt(await readMountinfo(), mountRoot) !== null) await unmount(mountRoot, call);
    if (mountAt(await readMountinfo(), mountRoot) !== null) await unmount(mountRoot, call);
    await exec("chattr", ["-i", "--", mountRoot], { ...childOptions(call), okStatuses: [1] });
  }

  async #changeRoot(call: Call, change: (guard: Guard) => Promise<void>): Promise<void> {
    const turn = this.#afterTurn(call, change);
    this.#turn = turn.catch(() => {}); // The next begins whatever became of this one.
    await turn;
  }

  async #afterTurn(call: Call, change: (guard: Guard) => Promise<void>): Promise<void> {
    await this.#turn;
    const guard = await this.#open(call);
    try {
      await change(guard);
    } finally {
      await this.#close(guard, call);
    }
  }

  /** The root directory becomes writable; tells by what it is guarded. */
  async #open(call: Call): Promise<Guard> {
    const { mountRoot } = this.#paths;
    if (!(await exists(mountRoot, call))) await makeDirectory(mountRoot, 0o755);
    const tmpfs = mountAt(await readMountinfo(), mountRoot);
    if (tmpfs?.source === tmpfsName) {
      await run("mount", ["-o", "remount,rw", "--", mountRoot], call);
      return "tmpfs";
    }
    const unsupported = 1;
    const options = { ...childOptions(call), okStatuses: [unsupported] };
    const { status } = await exec("chattr", ["-i", "--", mountRoot], options);
    if (status === 0) return "flag";
    const args = ["-t", "tmpfs", "-o", "rw,mode=0755,size=64k", tmpfsName, mountRoot];
    await run("mount", args, call);
    return "tmpfs";
  }

  async #close(guard: Guard, call: Call): Promise<void> {
    const { mountRoot } = this.#paths;
    const anyway = { ...call, signal: new AbortController().signal };
    if (guard === "flag") await run("chattr", ["+i", "--", mountRoot], anyway);
    else await run("mount", ["-o", "remount,ro", "--", mountRoot], anyway);
  }

  /** A mount below reaches other mount namespaces (dockerd's) only if its parent is shared. */
  async #ensureShared(call: Call): Promise<void> {
    const { mountRoot } = this.#paths;
    const mounts = await readMountinfo();
    const parent = mountOf(mounts, mountRoot);
    if (parent?.propagation.some((field) => field.startsWith("shared:")) === true) return;
    if (mounts.some(({ mountPoint }) => mountPoint.startsWith(`${mountRoot}/`))) {
      call.log.warn("mount_root.left_private", { mountRoot });
      return; // A mount over it would hide what containers use.
    }
    if (parent?.mountPoint !== mountRoot) {
      await run("mount", ["--bind", "--", mountRoot, mountRoot], call);
    }
    await run("mount", ["--make-shared", "--", mountRoot], call);
  }
}

type Guard = "flag" | "tmpfs";
const tmpfsName = "flocker-mount-root";

async function run(command: string, args: readonly string[], call: Call): Promise<void> {
  await exec(command, args, childOptions(call));
}

async function exists(path: string, call: Call): Promise<boolean> {
  const missing = 1;
  const options = { ...childOptions(call), okStatuses: [missing] };
  return (await exec("test", ["-e", path], options)).status === 0;
}

/** Files underneath were written while nothing was mounted; a mount would make them vanish. */
async function refuseIfUsed(target: string, call: Call): Promise<void> {
  const args = [target, "-mindepth", "1", "-print", "-quit"];
  const { stdout } = await exec("find", args, childOptions(call));
  if (stdout === "") return;
  throw new FlockerError(
    "BACKEND_REJECTED",
    `${target} holds files that were written while nothing was mounted there; move them away ` +
      `(chattr -i ${target}). Nothing was mounted over them.`,
    { details: { condition: "PROPAGATION_WRONG", path: target } },
  );
}
