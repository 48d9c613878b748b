import type { DatasetId, VolumeRef } from "../../domain/ids.ts";
import type { Device, Holder, Volume } from "../../domain/volume.ts";
import type { KernelDevice } from "../world/kernel.ts";
import type { Machine } from "../world/machine.ts";
import { ModelDriver } from "../world/model-driver.ts";
import { ModelHost, type Surroundings } from "../world/model-host.ts";

/** Asks the mountinfo of the host alone: private copies and open files do not exist for it. */
export class BlindHost extends ModelHost {
  override holders(): Promise<readonly Holder[]> {
    return Promise.resolve([]);
  }

  override holdExclusively(): Promise<{ readonly release: () => Promise<void> }> {
    return Promise.resolve({ release: () => Promise.resolve() });
  }
}

/** Takes a device for the one that had its name a moment ago. */
export class NameHost extends ModelHost {
  protected override deviceAt(device: Device): KernelDevice {
    const { devices } = this.machine.kernel;
    const named = [...devices.values()].find(({ path }) => path === device.path);
    return named ?? super.deviceAt(device);
  }
}

/** Ends what it is told to cut as it ends everything: what is in the page cache goes out. */
export class CleanHost extends ModelHost {
  override async cut(dataset: DatasetId): Promise<void> {
    const { kernel } = this.machine;
    for (const superblock of kernel.open(dataset)) {
      if (superblock.dirty) kernel.flush(superblock, true);
    }
    await super.cut(dataset);
  }
}

/** Believes the tool that answered before the device was gone. */
export class UnprovenHost extends ModelHost {
  override holdExclusively(): Promise<{ readonly release: () => Promise<void> }> {
    return Promise.resolve({ release: () => Promise.resolve() });
  }
}

/** `losetup -d` of a device in use returns 0 and takes effect when the last user has gone. */
export class LazyDriver extends ModelDriver {
  override async detach(ref: VolumeRef): Promise<void> {
    const { kernel, storage, node } = this.machine;
    const device = kernel.devices.get(ref);
    if (device === undefined || kernel.on(device) === null) return super.detach(ref, node);
    const volume = storage.volumes.get(ref);
    if (volume?.attachment?.node === node) volume.attachment = null;
  }
}

/** Lists the whole account where one volume would do. */
export class ListingDriver extends ModelDriver {
  override async find(dataset: DatasetId): Promise<readonly Volume[]> {
    const all = await this.list();
    return all.filter(({ datasetId }) => datasetId === dataset);
  }
}

export function listingDriver(machine: Machine, around: Surroundings): ModelDriver {
  return new ListingDriver(machine, around);
}

export function blindHost(machine: Machine, around: Surroundings): ModelHost {
  return new BlindHost(machine, around);
}

export function cleanHost(machine: Machine, around: Surroundings): ModelHost {
  return new CleanHost(machine, around);
}

export function nameHost(machine: Machine, around: Surroundings): ModelHost {
  return new NameHost(machine, around);
}

export function unprovenHost(machine: Machine, around: Surroundings): ModelHost {
  return new UnprovenHost(machine, around);
}

export function lazyDriver(machine: Machine, around: Surroundings): ModelDriver {
  return new LazyDriver(machine, around);
}
