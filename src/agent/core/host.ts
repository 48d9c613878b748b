import type { Call } from "../../backends/attachable.ts";
import type { DatasetId } from "../../domain/ids.ts";
import type { FileSystem } from "../../domain/record.ts";
import type { Device, Holder, Identity } from "../../domain/volume.ts";

/**
 * What a look at a device finds, without writing to it (blkid, then `ro,noload`/`ro,norecovery`).
 */
export type Content =
  /** No signature, and the first and the last MiB are zeros. */
  | { readonly kind: "blank" }
  /**
   * Bears a mkfs of the expected dataset (UUID = its id, nothing in `data/`) that did not come to
   * its identity, or that was made under another claim and never shown: may be made again.
   */
  | { readonly kind: "unfinished" }
  | { readonly kind: "ours"; readonly identity: Identity }
  /**
   * Anything else: garbage, another cluster's or dataset's, a damaged identity, a file system
   * without one. The detail is a clause for people.
   */
  | { readonly kind: "foreign"; readonly detail: string };

/** Where a dataset is mounted on this node, from mountinfo alone. */
export type Mounts = {
  /** The private mount of the whole file system, `/run/flocker/vol/<id>`. */
  readonly volume: boolean;
  /** `data/` of it, bound to `/flocker/<id>`: what containers use. */
  readonly shown: boolean;
  /** Device number `major:minor` of whichever is mounted; null when none is. */
  readonly deviceNumber: string | null;
};

/** What a step on a volume of this node's own disks may touch on this machine besides its pool. */
export interface LocalHost extends Pick<Host, "mounts" | "show" | "hide" | "unmountVolume"> {
  /**
   * Binds the directory of a live volume (`LocalBackend.livePath`) privately to
   * `/run/flocker/vol/<id>`. Idempotent; something else there fails with `VOLUME_BUSY`.
   */
  bindVolume(datasetId: DatasetId, path: string, call: Call): Promise<void>;
  /**
   * Everybody who has the volume at `path`, whether or not it is mounted by us: mountinfo of all
   * namespaces, then files, mappings and directories of all processes; our own two mounts not
   * counted.
   */
  holdersAt(datasetId: DatasetId, path: string, call: Call): Promise<readonly Holder[]>;
  /**
   * A superseded node stops: whoever has the volume at `path` is killed, then our own two mounts
   * are taken away lazily. What was written stays. Who cannot be killed at once is still a holder.
   */
  stop(datasetId: DatasetId, path: string, call: Call): Promise<void>;
}

/** What an action may touch on this machine. Linux in production; a model in `sim/`. */
export interface Host {
  /** Mountinfo of our own namespace; never touches the mounted file system itself. */
  mounts(datasetId: DatasetId): Promise<Mounts>;
  /**
   * Users by path: processes of other mount namespaces or containers that have this volume
   * (mountinfo of all processes), our own two mounts not counted. Null `device`: the one that it was
   * last mounted from in this boot, unless it was cut; where it is not mounted by us, whoever holds
   * that device in any other way is one too.
   */
  holders(datasetId: DatasetId, device: Device | null, call: Call): Promise<readonly Holder[]>;
  /**
   * Looks at a device that is not mounted here; writes nothing. `ours` only if cluster and dataset
   * are the expected ones. Another disk sequence than the device's is `BACKEND_REJECTED`.
   */
  inspect(
    device: Device,
    expected: Pick<Identity, "clusterId" | "datasetId" | "lineage">,
    fileSystem: FileSystem,
    call: Call,
  ): Promise<Content>;
  /**
   * mkfs (UUID = dataset id), `data/` (0777 under a 0700 root), identity with generation 0, clean
   * unmount.
   */
  format(device: Device, identity: Identity, fileSystem: FileSystem, call: Call): Promise<void>;
  /**
   * Mounts the whole file system privately, verifies the identity again through the mount, and
   * writes `identity.generation` (fsync): fails with `VOLUME_BUSY`/`BACKEND_REJECTED` and leaves
   * nothing mounted otherwise.
   */
  mountVolume(
    device: Device,
    identity: Identity,
    fileSystem: FileSystem,
    call: Call,
  ): Promise<void>;
  /** Binds `data/` to `/flocker/<id>` (immutable mount point, shared propagation). Idempotent. */
  show(datasetId: DatasetId, call: Call): Promise<void>;
  /** Removes the bind and its mount point. Idempotent. */
  hide(datasetId: DatasetId, call: Call): Promise<void>;
  /** Unmounts the private mount (clean, with flush). Idempotent. */
  unmountVolume(datasetId: DatasetId, call: Call): Promise<void>;
  /**
   * Proof that nobody holds the device: opened O_EXCL by a child that keeps it open until `release`
   * is called or the agent dies. Held by somebody is `VOLUME_BUSY`.
   */
  holdExclusively(device: Device, call: Call): Promise<{ readonly release: () => Promise<void> }>;
  /**
   * A superseded node cuts first: file system shutdown without flush; then it kills whoever has the
   * volume, unmounts lazily and drops the device. Never a clean unmount (it would flush into a disk
   * that another host has mounted). It waits for no lock: a child that hangs on the volume must not
   * delay it.
   */
  cut(datasetId: DatasetId, call: Call): Promise<void>;
  /** What is mounted under `/run/flocker/vol` or `/flocker`, by its names there. */
  mountedDatasets(): Promise<readonly DatasetId[]>;
}
