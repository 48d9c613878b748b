import type { Content, Host, LocalHost, Mounts } from "../agent/core/host.ts";
import type { Call } from "../backends/attachable.ts";
import { type DatasetId, parseDatasetId } from "../domain/ids.ts";
import type { FileSystem } from "../domain/record.ts";
import type { Device, Holder, Identity } from "../domain/volume.ts";
import { type DeviceHold, holdDevice } from "../lib/exclusive-hold.ts";
import { hasCode } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import { seenByEngine } from "./engine-view.ts";
import { childOptions, type HostPaths, notedDevice, shownPath, volumePath } from "./host-paths.ts";
import { unmount } from "./unmount.ts";
import { bindVolume, holdersAt, stopAccess } from "./local-volume.ts";
import { MountPoints } from "./mount-point.ts";
import { mountAt, readMountinfo } from "../lib/mountinfo.ts";
import { cutVolume } from "./volume-cut.ts";
import { formatVolume } from "./volume-format.ts";
import { findHolders } from "./volume-holders.ts";
import { look } from "./volume-look.ts";
import { mountVolume, unmountVolume } from "./volume-mount.ts";
import { makeDirectory } from "../lib/system.ts";

/** Each start of a container has all mounts for a moment; only who stays longer is a holder. */
const busyMsMax = 1000;

/**
 * This machine. In process only /proc, /sys and /run are read; whatever touches a volume's path or
 * device is a child with a deadline that holds the dataset's lock, so that a dead disk stalls a
 * child and never the agent.
 */
export class LinuxHost implements Host, LocalHost {
  readonly #paths: HostPaths;
  readonly #mountPoints: MountPoints;

  constructor(paths: HostPaths) {
    this.#paths = paths;
    this.#mountPoints = new MountPoints(paths);
  }

  /**
   * To be called once before anything else: the mount root is guarded against writing from then
   * on, and private mounts propagate to nobody. Idempotent.
   */
  async prepare(call: Call): Promise<void> {
    const { runDir } = this.#paths;
    const vol = `${runDir}/vol`;
    for (const directory of [vol, `${runDir}/look`, `${runDir}/devices`]) {
      await makeDirectory(directory, 0o700);
    }
    if (mountAt(await readMountinfo(), vol) === null) {
      await exec("mount", ["--bind", "--", vol, vol], childOptions(call));
    }
    await exec("mount", ["--make-private", "--", vol], childOptions(call));
    await this.#mountPoints.prepare(call);
  }

  async mounts(datasetId: DatasetId): Promise<Mounts> {
    const mounts = await readMountinfo();
    const volume = mountAt(mounts, volumePath(this.#paths, datasetId));
    const shown = mountAt(mounts, shownPath(this.#paths, datasetId));
    return {
      volume: volume !== null,
      shown: shown !== null,
      deviceNumber: volume?.deviceNumber ?? shown?.deviceNumber ?? null,
    };
  }

  async holders(
    datasetId: DatasetId,
    device: Device | null,
    call: Call,
  ): Promise<readonly Holder[]> {
    const listed = await findHolders(this.#paths, datasetId, device);
    return listed.length > 0 || device !== null ? listed : this.#unlisted(datasetId, call);
  }

  /** A mount that only an open file keeps is in nobody's mountinfo. */
  async #unlisted(datasetId: DatasetId, call: Call): Promise<readonly Holder[]> {
    const device = await notedDevice(this.#paths, datasetId);
    const { volume, shown } = await this.mounts(datasetId);
    if (device === null || volume || shown) return [];
    try {
      await (await this.holdExclusively(device, call)).release();
      return [];
    } catch (error) {
      if (!hasCode(error, "VOLUME_BUSY")) throw error;
      return [{ pid: null, command: `somebody who has ${device.path} open`, container: null }];
    }
  }

  inspect(
    device: Device,
    expected: Pick<Identity, "clusterId" | "datasetId" | "lineage">,
    fileSystem: FileSystem,
    call: Call,
  ): Promise<Content> {
    return look(this.#paths, device, { ...expected, fileSystem }, call);
  }

  format(device: Device, identity: Identity, fileSystem: FileSystem, call: Call): Promise<void> {
    return formatVolume(this.#paths, device, { identity, fileSystem }, call);
  }

  mountVolume(
    device: Device,
    identity: Identity,
    fileSystem: FileSystem,
    call: Call,
  ): Promise<void> {
    return mountVolume(this.#paths, device, { identity, fileSystem }, call);
  }

  show(datasetId: DatasetId, call: Call): Promise<void> {
    return this.#mountPoints.show(datasetId, call);
  }

  hide(datasetId: DatasetId, call: Call): Promise<void> {
    return this.#mountPoints.hide(datasetId, call);
  }

  unmountVolume(datasetId: DatasetId, call: Call): Promise<void> {
    return unmountVolume(this.#paths, datasetId, call);
  }

  holdExclusively(device: Device, call: Call): Promise<DeviceHold> {
    return holdDevice(device, { deadlineMs: call.deadlineMs, busyMsMax });
  }

  bindVolume(datasetId: DatasetId, path: string, call: Call): Promise<void> {
    return bindVolume(this.#paths, datasetId, path, call);
  }

  holdersAt(datasetId: DatasetId, path: string, call: Call): Promise<readonly Holder[]> {
    return holdersAt(this.#paths, datasetId, path, call);
  }

  stop(datasetId: DatasetId, path: string, call: Call): Promise<void> {
    return stopAccess(this.#paths, datasetId, path, call);
  }

  cut(datasetId: DatasetId, call: Call): Promise<void> {
    return cutVolume(this.#paths, datasetId, { ...call, lockFile: undefined });
  }

  async mountedDatasets(): Promise<readonly DatasetId[]> {
    const { runDir, mountRoot } = this.#paths;
    const prefixes = [`${runDir}/vol/`, `${mountRoot}/`];
    // A directory is no mount: one that is empty may be left of a step that was killed.
    const names = (await readMountinfo()).flatMap(({ mountPoint }) =>
      prefixes
        .filter((prefix) => mountPoint.startsWith(prefix))
        .map((prefix) => mountPoint.slice(prefix.length)),
    );
    return [...new Set(names.flatMap(datasetNamed))].sort();
  }

  /** Whether a container engine would hand containers what we show; see `seenByEngine`. */
  seenByEngine(datasetId: DatasetId, enginePid: number, call: Call): Promise<boolean> {
    return seenByEngine(this.#paths, datasetId, enginePid, call);
  }

  /** Undoes `prepare` where nothing is mounted any more: for tests and for taking a node down. */
  async dismantle(call: Call): Promise<void> {
    await this.#mountPoints.dismantle(call);
    await unmount(`${this.#paths.runDir}/vol`, call);
  }
}

function datasetNamed(name: string): readonly DatasetId[] {
  try {
    return [parseDatasetId(name)];
  } catch {
    return []; // Somebody else's directory.
  }
}
