import type { AttachableBackend, CreateVolume } from "../../backends/attachable.ts";
import {
  type DatasetId,
  type NodeId,
  type OpId,
  parseVolumeRef,
  type VolumeRef,
} from "../../domain/ids.ts";
import type { Capabilities } from "../../domain/pool.ts";
import type { Attacher, Device, Volume } from "../../domain/volume.ts";
import type { Machine } from "./machine.ts";
import type { Surroundings } from "./model-host.ts";
import type { StoredVolume } from "./storage.ts";
import { failure } from "./world-context.ts";

/** The port's driver over the model's storage: a client on one machine, like any other's. */
export class ModelDriver implements AttachableBackend {
  readonly machine: Machine;
  readonly around: Surroundings;

  constructor(machine: Machine, around: Surroundings) {
    this.machine = machine;
    this.around = around;
  }

  get capabilities(): AttachableBackend["capabilities"] {
    return capabilitiesOf(this.machine.context.traits);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async list(): Promise<readonly Volume[]> {
    const { context, node, storage } = this.machine;
    context.tell({ kind: "account_listed", node });
    return this.#ask("read", () => storage.live().map((volume) => viewOf(volume)));
  }

  async find(dataset: DatasetId): Promise<readonly Volume[]> {
    return this.#ask("read", () =>
      this.machine.storage
        .live()
        .filter((volume) => volume.dataset === dataset)
        .map((volume) => viewOf(volume)),
    );
  }

  create(asked: CreateVolume): Promise<Volume> {
    return this.make(asked, asked.op);
  }

  /** `token`: what was made for it before is not made again. */
  protected make({ datasetId, op, sizeBytes }: CreateVolume, token: OpId | null): Promise<Volume> {
    return this.#ask("change", () => {
      const { storage } = this.machine;
      if (token === null) return viewOf(storage.make(datasetId, op, sizeBytes));
      // Its token is compared with all there is, also with what no list shows yet.
      const made = [...storage.volumes.values()].find((one) => one.op === token && !one.destroyed);
      if (made !== undefined) return viewOf(made);
      const [found] = storage.live().filter(({ dataset }) => dataset === datasetId);
      if (found !== undefined) throw failure("VOLUME_EXISTS", `${datasetId} has ${found.ref}`);
      return viewOf(storage.make(datasetId, op, sizeBytes));
    });
  }

  async attach(ref: VolumeRef, to: Attacher): Promise<Device> {
    return this.#ask("change", () => {
      const { storage, kernel } = this.machine;
      const volume = storage.get(ref);
      const { attachment } = volume;
      if (attachment !== null && attachment.node !== to.node) {
        throw failure("VOLUME_BUSY", `${ref} is attached to ${attachment.node}`);
      }
      if (attachment !== null && attachment.generation > to.generation) {
        throw failure("VOLUME_BUSY", `${ref} is attached under ${attachment.generation}`);
      }
      volume.attachment = to;
      storage.onAttachment(to.era, ref, true);
      const device = kernel.devices.get(ref);
      if (device === undefined) throw failure("COMMAND_FAILED", "the machine was started again");
      return { path: device.path, diskSequence: device.diskSequence };
    });
  }

  async device(ref: VolumeRef): Promise<Device | null> {
    const device = this.machine.kernel.devices.get(ref);
    if (device === undefined) return null;
    return { path: device.path, diskSequence: device.diskSequence };
  }

  async detach(ref: VolumeRef, node: NodeId): Promise<void> {
    const { kernel } = this.machine;
    const device = kernel.devices.get(ref);
    if (device !== undefined && kernel.on(device) !== null) {
      throw failure("VOLUME_BUSY", `${device.path} is in use`);
    }
    return this.#ask("change", () => this.giveBack(ref, node));
  }

  /** What the storage does when it carries out a detach, whenever that is. */
  giveBack(ref: VolumeRef, node: NodeId): void {
    const { storage, context, kernel } = this.machine;
    const volume = storage.volumes.get(ref);
    if (volume?.attachment?.node !== node) return;
    const { era } = volume.attachment;
    const device = kernel.devices.get(ref);
    const mounted = device !== undefined && kernel.on(device) !== null;
    if (mounted) {
      // It was idle when this was asked for: the request came late.
      context.tell({ kind: "attachment_taken", dataset: volume.dataset, node, mounted });
    }
    volume.attachment = null;
    storage.onAttachment(era, ref, false);
  }

  async forceDetach(ref: VolumeRef, target: NodeId): Promise<void> {
    return this.#ask("change", () => {
      const { storage, context } = this.machine;
      const volume = storage.get(ref);
      if (volume.attachment?.node !== target) return;
      context.marks.hit("forced detach landed");
      volume.attachment = null;
      storage.onForcedDetach(target, volume);
    });
  }

  async destroy(ref: VolumeRef, dataset: DatasetId): Promise<void> {
    return this.#ask("change", () => {
      const { context } = this.machine;
      const volume = this.doomed(ref, dataset);
      if (volume === undefined || volume.destroyed) return;
      if (volume.dataset !== dataset) throw failure("VOLUME_NOT_FOUND", `${ref} is another's`);
      if (volume.attachment !== null) throw failure("VOLUME_BUSY", `${ref} is attached`);
      context.marks.hit("dataset destroyed");
      volume.destroyed = true;
      context.tell({ kind: "volume_destroyed", dataset, node: this.machine.node });
    });
  }

  /** The volume that a destroy is meant for, when it is carried out. */
  protected doomed(ref: string, _dataset: DatasetId): StoredVolume | undefined {
    return this.machine.storage.volumes.get(ref);
  }

  #ask<T>(how: "read" | "change", effect: () => T): Promise<T> {
    const { storage, context, node, strand } = this.machine;
    const { parent } = this.around;
    const deliver = (end: () => void): void => strand.deliver(() => parent.deliver(end));
    return context.turns.wait<T>((resolve, reject) => {
      storage[how](node, {
        callerAlive: () => strand.alive && parent.alive,
        effect,
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the effect's own value
        answered: (value) => deliver(() => resolve(value as T)),
        failed: (error) => deliver(() => reject(error)),
      });
    });
  }
}

function viewOf({ ref, dataset, op, sizeBytes, attachment }: StoredVolume): Volume {
  return {
    ref: parseVolumeRef(ref),
    datasetId: dataset,
    op,
    sizeBytes,
    attachedTo: attachment,
  };
}

export function capabilitiesOf(traits: {
  readonly exclusive: Capabilities["exclusive"];
  readonly operationMsMax: number;
}): AttachableBackend["capabilities"] {
  return {
    kind: "attachable",
    exclusive: traits.exclusive,
    fence: "none",
    sizeBytesMin: 1 << 26,
    sizeBytesStep: 1 << 20,
    sizeBytesMax: 2 ** 44,
    attachedMax: 1_000,
    listDelayMsMax: 0,
    operationMsMax: traits.operationMsMax,
  };
}
