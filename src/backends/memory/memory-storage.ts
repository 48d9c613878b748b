import type { ClusterId, DatasetId, OpId, VolumeRef } from "../../domain/ids.ts";
import type { Attacher, Device } from "../../domain/volume.ts";
import { FlockerError } from "../../lib/errors.ts";

export type StoredVolume = {
  readonly ref: VolumeRef;
  readonly clusterId: ClusterId;
  readonly datasetId: DatasetId;
  readonly op: OpId;
  readonly sizeBytes: number;
  readonly attachedTo: Attacher | null;
};

/**
 * A storage system in memory, shared by the backends of several nodes. Its devices can be written
 * to, so that conformance can try what an old node's write does: a device serves only as long as
 * the attachment that it belongs to.
 */
export class MemoryStorage {
  readonly volumes = new Map<VolumeRef, StoredVolume>();
  readonly #content = new Map<VolumeRef, string>();
  readonly #devices = new Map<number, { readonly ref: VolumeRef; users: number }>();
  #lastSequence = 0;

  plug(ref: VolumeRef): Device {
    this.#lastSequence += 1;
    this.#devices.set(this.#lastSequence, { ref, users: 0 });
    return { path: `/dev/memory${this.#lastSequence}`, diskSequence: this.#lastSequence };
  }

  deviceOf(ref: VolumeRef): Device | null {
    const found = [...this.#devices].find(([, device]) => device.ref === ref);
    return found === undefined ? null : { path: `/dev/memory${found[0]}`, diskSequence: found[0] };
  }

  unplug(ref: VolumeRef): void {
    for (const [sequence, device] of this.#devices) {
      if (device.ref === ref) this.#devices.delete(sequence);
    }
  }

  inUse(ref: VolumeRef): boolean {
    return [...this.#devices.values()].some((device) => device.ref === ref && device.users > 0);
  }

  forget(ref: VolumeRef): void {
    this.volumes.delete(ref);
    this.#content.delete(ref);
  }

  write(device: Device, text: string): void {
    this.#content.set(this.#plugged(device).ref, text);
  }

  read(device: Device): string {
    return this.#content.get(this.#plugged(device).ref) ?? "";
  }

  sizeBytesOf(device: Device): number {
    return this.volumes.get(this.#plugged(device).ref)?.sizeBytes ?? 0;
  }

  /** As a mount does: the device is in use until this is disposed. */
  use(device: Device): Disposable {
    const plugged = this.#plugged(device);
    plugged.users += 1;
    return {
      [Symbol.dispose]: () => {
        plugged.users -= 1;
      },
    };
  }

  #plugged(device: Device): { readonly ref: VolumeRef; users: number } {
    const plugged = this.#devices.get(device.diskSequence);
    if (plugged !== undefined) return plugged;
    throw new FlockerError("BACKEND_UNAVAILABLE", `${device.path} is gone`);
  }
}
