import {
  type ClusterId,
  type DatasetId,
  type NodeId,
  parseVolumeRef,
  type VolumeRef,
} from "../../domain/ids.ts";
import type { Capabilities } from "../../domain/pool.ts";
import type { Attacher, Device, Volume } from "../../domain/volume.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { AttachableBackend, Call, CreateVolume } from "../attachable.ts";
import type { MemoryStorage, StoredVolume } from "./memory-storage.ts";

/** The reference model of the port: the simplest correct driver, over a storage in memory. */
export class MemoryBackend implements AttachableBackend {
  readonly capabilities: Capabilities & { readonly kind: "attachable" } = {
    kind: "attachable",
    exclusive: "enforced",
    fence: "none",
    sizeBytesMin: 64 * 2 ** 20,
    sizeBytesStep: 1024,
    sizeBytesMax: 2 ** 40,
    attachedMax: 64,
    listDelayMsMax: 0,
    operationMsMax: 0,
  };
  readonly #storage: MemoryStorage;
  readonly #clusterId: ClusterId;

  constructor(storage: MemoryStorage, clusterId: ClusterId) {
    this.#storage = storage;
    this.#clusterId = clusterId;
  }

  async list(_call: Call): Promise<readonly Volume[]> {
    return this.#volumes();
  }

  async find(datasetId: DatasetId, _call: Call): Promise<readonly Volume[]> {
    return this.#volumes().filter((volume) => volume.datasetId === datasetId);
  }

  async create({ datasetId, op, sizeBytes }: CreateVolume, _call: Call): Promise<Volume> {
    const existing = this.#volumes().find((volume) => volume.datasetId === datasetId);
    if (existing?.op === op) return existing;
    if (existing !== undefined) {
      throw new FlockerError("VOLUME_EXISTS", `Dataset ${datasetId} has volume ${existing.ref}.`);
    }
    const { sizeBytesMin, sizeBytesStep, sizeBytesMax } = this.capabilities;
    if (sizeBytes < sizeBytesMin || sizeBytes > sizeBytesMax || sizeBytes % sizeBytesStep !== 0) {
      throw new FlockerError("SIZE_OUT_OF_RANGE", `No volume has ${sizeBytes} bytes here.`);
    }
    const ref = parseVolumeRef(`memory-${datasetId}-${op}`);
    const clusterId = this.#clusterId;
    const volume = { ref, clusterId, datasetId, op, sizeBytes, attachedTo: null };
    this.#storage.volumes.set(ref, volume);
    return volumeOf(volume);
  }

  async attach(ref: VolumeRef, to: Attacher, _call: Call): Promise<Device> {
    const volume = this.#get(ref);
    if (volume === null) throw new FlockerError("VOLUME_NOT_FOUND", `No volume ${ref}.`);
    const by = volume.attachedTo;
    if (by !== null && (by.node !== to.node || by.generation > to.generation)) {
      throw new FlockerError("VOLUME_BUSY", `${ref} is attached to ${by.node}.`);
    }
    if (by !== null && by.era !== to.era) this.#unplug(volume);
    this.#storage.volumes.set(ref, { ...volume, attachedTo: to });
    return this.#storage.deviceOf(ref) ?? this.#storage.plug(ref);
  }

  async device(ref: VolumeRef, on: Attacher, _call: Call): Promise<Device | null> {
    const by = this.#get(ref)?.attachedTo;
    return by?.node === on.node && by.era === on.era ? this.#storage.deviceOf(ref) : null;
  }

  async detach(ref: VolumeRef, node: NodeId, _call: Call): Promise<void> {
    const volume = this.#get(ref);
    if (volume?.attachedTo?.node === node) this.#unplug(volume);
  }

  async forceDetach(ref: VolumeRef, target: NodeId, _call: Call): Promise<void> {
    const volume = this.#get(ref);
    if (volume?.attachedTo?.node !== target) return;
    this.#storage.unplug(ref);
    this.#storage.volumes.set(ref, { ...volume, attachedTo: null });
  }

  async destroy(ref: VolumeRef, datasetId: DatasetId, _call: Call): Promise<void> {
    const volume = this.#storage.volumes.get(ref);
    if (volume === undefined) return;
    if (volume.clusterId !== this.#clusterId || volume.datasetId !== datasetId) {
      throw new FlockerError("VOLUME_NOT_FOUND", `${ref} is not labelled with ${datasetId}.`);
    }
    if (volume.attachedTo !== null) {
      throw new FlockerError("VOLUME_BUSY", `${ref} is attached to ${volume.attachedTo.node}.`);
    }
    this.#storage.forget(ref);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #get(ref: VolumeRef): StoredVolume | null {
    const volume = this.#storage.volumes.get(ref);
    return volume?.clusterId === this.#clusterId ? volume : null;
  }

  #unplug(volume: StoredVolume): void {
    if (this.#storage.inUse(volume.ref)) {
      throw new FlockerError("VOLUME_BUSY", `The device of ${volume.ref} is in use.`);
    }
    this.#storage.unplug(volume.ref);
    this.#storage.volumes.set(volume.ref, { ...volume, attachedTo: null });
  }

  #volumes(): readonly Volume[] {
    return [...this.#storage.volumes.values()]
      .filter((volume) => volume.clusterId === this.#clusterId)
      .map(volumeOf);
  }
}

function volumeOf({ ref, datasetId, op, sizeBytes, attachedTo }: StoredVolume): Volume {
  return { ref, datasetId, op, sizeBytes, attachedTo };
}
