import {
  type ClusterId,
  type DatasetId,
  type NodeId,
  parseBootId,
  parseDatasetId,
  parseNodeId,
  parseOpId,
  parseVolumeRef,
  type VolumeRef,
} from "../../domain/ids.ts";
import type { Capabilities } from "../../domain/pool.ts";
import type { Attacher, Device, Volume } from "../../domain/volume.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { AttachableBackend, Call, CreateVolume } from "../attachable.ts";
import { dropLoop, findLoops, type LoopDevice, setUpLoop } from "./loop-device.ts";
import {
  createScript,
  destroyScript,
  releaseScript,
  sanStatus,
  takeScript,
} from "./san-scripts.ts";
import type { AttachmentRecord, Found, Label, San } from "./san.ts";

/** A volume whose label is this cluster's and whose image is as large as the label says. */
type Usable = Found & { readonly label: Label };

/** Volumes are files of a `San`; an attachment is a record there, and a loop device. */
export class LoopbackBackend implements AttachableBackend {
  readonly capabilities: Capabilities & { readonly kind: "attachable" } = {
    kind: "attachable",
    exclusive: "advisory",
    fence: "none",
    sizeBytesMin: 64 * 2 ** 20,
    sizeBytesStep: 1024,
    sizeBytesMax: 15 * 2 ** 40, // A file on ext4 ends below 16 TiB.
    attachedMax: 256,
    listDelayMsMax: 0,
    // A request is a child under the dataset's lock: once that is free, nothing is under way.
    operationMsMax: 1_000,
  };
  readonly #san: San;
  readonly #clusterId: ClusterId;

  constructor(san: San, clusterId: ClusterId) {
    this.#san = san;
    this.#clusterId = clusterId;
  }

  async list(call: Call): Promise<readonly Volume[]> {
    return this.#volumes(await this.#san.look("*", call));
  }

  async find(datasetId: DatasetId, call: Call): Promise<readonly Volume[]> {
    return this.#volumes(await this.#san.look(`${datasetId}-*`, call));
  }

  async create({ datasetId, op, sizeBytes }: CreateVolume, call: Call): Promise<Volume> {
    const { sizeBytesMin, sizeBytesStep, sizeBytesMax } = this.capabilities;
    const ref = parseVolumeRef(`${datasetId}-${op}`);
    const made = await this.#made(ref, call);
    if (made !== null) return made;
    if (sizeBytes < sizeBytesMin || sizeBytes > sizeBytesMax || sizeBytes % sizeBytesStep !== 0) {
      throw new FlockerError(
        "SIZE_OUT_OF_RANGE",
        `Volumes of loopback have ${sizeBytesMin} to ${sizeBytesMax} bytes in steps of ` +
          `${sizeBytesStep}, not ${sizeBytes}.`,
      );
    }
    const label: Label = { clusterId: this.#clusterId, datasetId, op, sizeBytes };
    const args = [ref, datasetId, String(sizeBytes), JSON.stringify(label)];
    const { changed } = sanStatus;
    const { status } = await this.#san.run(createScript, args, call, [changed]);
    const volume = await this.#made(ref, call);
    if (volume !== null) return volume;
    throw new FlockerError(
      status === changed ? "VOLUME_EXISTS" : "BACKEND_REJECTED",
      status === changed
        ? `Dataset ${datasetId} has a volume that another operation made.`
        : `The volume ${ref} was created, and is not there.`,
    );
  }

  async attach(ref: VolumeRef, to: Attacher, call: Call): Promise<Device> {
    const found = await this.#usable(ref, call);
    refuseIfTaken(ref, found.attachment, to);
    const loops = await this.#loopsOf(ref, to.node);
    const name = linkName(ref, to);
    for (const loop of loops.filter(({ fileName }) => fileName !== name)) {
      await dropLoop(loop, call); // Of an earlier era.
    }
    const { node, era, generation } = to;
    const text = JSON.stringify({ node, era, generation } satisfies AttachmentRecord);
    await this.#take(ref, found.attachmentText, { ...to, text }, call);
    const kept = loops.filter(({ fileName }) => fileName === name);
    return this.#deviceOf(found, kept, name, call);
  }

  async device(ref: VolumeRef, on: Attacher, call: Call): Promise<Device | null> {
    const found = await this.#san.lookAt(ref, call);
    if (!this.#isOurs(found)) return null;
    const { attachment } = found;
    if (attachment?.node !== on.node || attachment.era !== on.era) return null;
    const name = linkName(ref, on);
    const loops = (await this.#loopsOf(ref, on.node)).filter(({ fileName }) => fileName === name);
    if (loops.length === 0) return null;
    refuseIfDamaged(found);
    return onlyLoop(found, loops);
  }

  async detach(ref: VolumeRef, node: NodeId, call: Call): Promise<void> {
    for (const loop of await this.#loopsOf(ref, node)) await dropLoop(loop, call);
    await this.#release(ref, node, call);
  }

  /** The record alone: a device of another node is out of reach here (`exclusive: advisory`). */
  async forceDetach(ref: VolumeRef, target: NodeId, call: Call): Promise<void> {
    await this.#release(ref, target, call);
  }

  async destroy(ref: VolumeRef, datasetId: DatasetId, call: Call): Promise<void> {
    const found = await this.#san.lookAt(ref, call);
    if (found.label === null && found.imageBytes === null) return;
    if (found.label === null) return this.#remove(ref, call); // Half created or half destroyed.
    if (!this.#isOurs(found) || found.label.datasetId !== datasetId) {
      throw new FlockerError(
        "VOLUME_NOT_FOUND",
        `Volume ${ref} is not labelled with dataset ${datasetId} of this cluster.`,
      );
    }
    if (found.attachment !== null) {
      throw new FlockerError(
        "VOLUME_BUSY",
        `Volume ${ref} is attached to node ${found.attachment.node}.`,
      );
    }
    await this.#remove(ref, call);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #remove(ref: VolumeRef, call: Call): Promise<void> {
    const { changed } = sanStatus;
    const { status } = await this.#san.run(destroyScript, [ref, ""], call, [changed]);
    if (status === changed) {
      throw new FlockerError("VOLUME_BUSY", `Volume ${ref} was attached meanwhile.`);
    }
  }

  async #take(
    ref: VolumeRef,
    before: string,
    to: Attacher & { readonly text: string },
    call: Call,
  ): Promise<void> {
    const { changed, replaced } = sanStatus;
    const args = [ref, before, to.text, to.node, to.era];
    const { status, stdout } = await this.#san.run(takeScript, args, call, [changed, replaced]);
    warnOfKept(stdout, call);
    if (status === changed) {
      throw new FlockerError("VOLUME_BUSY", `The attachment of ${ref} changed meanwhile.`);
    }
    if (status === replaced) {
      throw new FlockerError(
        "BACKEND_REJECTED",
        `The file of volume ${ref} was replaced while it was attached; what is in use is kept ` +
          `beside it under ${this.#san.rootPath}/attachments.`,
      );
    }
  }

  async #release(ref: VolumeRef, node: NodeId, call: Call): Promise<void> {
    const { attachment, attachmentText } = await this.#san.lookAt(ref, call);
    if (attachment?.node !== node) return;
    const { changed } = sanStatus;
    const args = [ref, attachmentText, node];
    const { status, stdout } = await this.#san.run(releaseScript, args, call, [changed]);
    warnOfKept(stdout, call);
    if (status === changed) {
      throw new FlockerError("VOLUME_BUSY", `The attachment of ${ref} changed meanwhile.`);
    }
  }

  async #deviceOf(
    found: Usable,
    loops: readonly LoopDevice[],
    name: string,
    call: Call,
  ): Promise<Device> {
    if (loops.length > 0) return onlyLoop(found, loops);
    const loop = await setUpLoop(`${this.#san.rootPath}/attachments/${name}`, call);
    try {
      return onlyLoop(found, [loop]);
    } catch (error) {
      await dropLoop(loop, call);
      throw error;
    }
  }

  #loopsOf(ref: VolumeRef, node: NodeId): Promise<LoopDevice[]> {
    return findLoops((name) => name.startsWith(`${ref}.${node}.`));
  }

  #isOurs(found: Found): found is Usable {
    return found.label?.clusterId === this.#clusterId;
  }

  async #usable(ref: VolumeRef, call: Call): Promise<Usable> {
    const found = await this.#san.lookAt(ref, call);
    if (!this.#isOurs(found)) {
      throw new FlockerError("VOLUME_NOT_FOUND", `The storage has no volume ${ref}.`);
    }
    refuseIfDamaged(found);
    return found;
  }

  /** The volume of this reference, whose create may be what is being repeated; null for none. */
  async #made(ref: VolumeRef, call: Call): Promise<Volume | null> {
    const found = await this.#san.lookAt(ref, call);
    if (!this.#isOurs(found)) return null;
    refuseIfDamaged(found);
    return volumeOf(found);
  }

  #volumes(all: readonly Found[]): readonly Volume[] {
    return all
      .filter((found) => this.#isOurs(found))
      .filter(({ imageBytes }) => imageBytes !== null)
      .map(volumeOf)
      .sort((a, b) => (a.ref < b.ref ? -1 : 1));
  }
}

/** Only this node in this era has a loop device by this name. */
function linkName(ref: VolumeRef, { node, era }: Pick<Attacher, "node" | "era">): string {
  return `${ref}.${node}.${era}.img`;
}

function refuseIfTaken(ref: VolumeRef, by: AttachmentRecord | null, to: Attacher): void {
  if (by === null) return;
  if (by.node !== to.node) {
    throw new FlockerError("VOLUME_BUSY", `Volume ${ref} is attached to node ${by.node}.`, {
      details: { attachedTo: by.node },
    });
  }
  if (by.generation > to.generation) {
    throw new FlockerError(
      "VOLUME_BUSY",
      `Volume ${ref} is attached under generation ${by.generation}, newer than ${to.generation}.`,
    );
  }
}

/** A file that vanished or changed its size is not the volume any more; nothing is done to it. */
function refuseIfDamaged({ ref, label, imageBytes }: Usable): void {
  if (imageBytes === null) {
    throw new FlockerError(
      "VOLUME_NOT_FOUND",
      `The file of volume ${ref} has vanished from the storage; its label is still there.`,
    );
  }
  if (imageBytes === label.sizeBytes) return;
  throw new FlockerError(
    "BACKEND_REJECTED",
    `The file of volume ${ref} has ${imageBytes} bytes, its label says ${label.sizeBytes}: it was ` +
      "truncated or replaced. Nothing was attached or changed.",
  );
}

/** Two loop devices of one file have caches that know nothing of each other. */
function onlyLoop({ ref, label }: Usable, loops: readonly LoopDevice[]): Device {
  const [loop, second] = loops;
  if (loop === undefined || second !== undefined) {
    throw new FlockerError(
      "BACKEND_REJECTED",
      `Volume ${ref} has several loop devices on this node: ` +
        `${loops.map(({ path }) => path).join(", ")}. Detach them before it is used.`,
    );
  }
  if (loop.sizeBytes !== label.sizeBytes) {
    throw new FlockerError(
      "BACKEND_REJECTED",
      `${loop.path} has ${loop.sizeBytes} bytes, volume ${ref} has ${label.sizeBytes}.`,
    );
  }
  return { path: loop.path, diskSequence: loop.diskSequence };
}

function volumeOf({ ref, label, attachment }: Usable): Volume {
  return {
    ref: parseVolumeRef(ref),
    datasetId: parseDatasetId(label.datasetId),
    op: parseOpId(label.op),
    sizeBytes: label.sizeBytes,
    attachedTo:
      attachment === null
        ? null
        : {
            node: parseNodeId(attachment.node),
            era: parseBootId(attachment.era),
            generation: attachment.generation,
          },
  };
}

function warnOfKept(stdout: string, call: Call): void {
  for (const line of stdout.split("\n")) {
    const [kind, file] = line.split("\t");
    if (kind === "kept") call.log.warn("volume.file_replaced", { keptAs: file });
  }
}
