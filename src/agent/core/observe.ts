import type { Call } from "../../backends/attachable.ts";
import type { DatasetId } from "../../domain/ids.ts";
import { blockFileSystem, type DatasetRecord } from "../../domain/record.ts";
import type { Device, Volume } from "../../domain/volume.ts";
import { unreachable } from "../../lib/assert.ts";
import { hasCode, messageOf } from "../../lib/errors.ts";
import type { ObservedAttachable } from "../../planner/observed.ts";
import type { Ports } from "./executor.ts";
import type { Host } from "./host.ts";

/** What a look works with. */
export type Look = Pick<Ports, "node" | "era" | "clusterId" | "backend"> & {
  readonly host: Pick<Host, "mounts" | "holders" | "inspect">;
};

/**
 * Looks at one dataset. What is mounted is seen in mountinfo alone, so a dead storage never hides
 * it; only what is not mounted is asked of the driver, freshly. Never rejects: a failure to look
 * is `unknown`.
 */
export async function observe(
  datasetId: DatasetId,
  record: DatasetRecord | null,
  look: Look,
  call: Call,
): Promise<ObservedAttachable> {
  try {
    const mounts = await look.host.mounts(datasetId);
    if (mounts.shown) {
      return { kind: "shown", holders: await look.host.holders(datasetId, null, call) };
    }
    if (mounts.volume) return { kind: "mounted" };
    if (record === null) return { kind: "absent" };
    // What the storage lists proves nothing of this machine: somebody may still have the device
    // that it was mounted from.
    const holders = await look.host.holders(datasetId, null, call);
    if (holders.length > 0) return { kind: "held", holders };
    return await observeVolume(record, look, call);
  } catch (error) {
    return { kind: "unknown", reason: messageOf(error), busy: hasCode(error, "BUSY_CHILD") };
  }
}

async function observeVolume(
  record: DatasetRecord,
  look: Look,
  call: Call,
): Promise<ObservedAttachable> {
  const backend = look.backend(record.pool);
  const all = await backend.find(record.datasetId, call);
  const ref = record.volume.kind === "exists" ? record.volume.ref : null;
  const fitting = ref === null ? all : all.filter((volume) => volume.ref === ref);
  const [volume, ...more] = fitting;
  if (volume === undefined) return { kind: "absent" };
  if (more.length > 0) return { kind: "duplicate", volumes: fitting };
  const { attachedTo } = volume;
  if (attachedTo === null) return { kind: "detached", volume };
  if (attachedTo.node !== look.node) {
    return { kind: "elsewhere", volume, node: attachedTo.node };
  }
  const on = { node: look.node, era: look.era, generation: attachedTo.generation };
  const device = attachedTo.era === look.era ? await backend.device(volume.ref, on, call) : null;
  if (device === null) return { kind: "stale", volume };
  return observeDevice(record, { volume, device }, look, call);
}

async function observeDevice(
  record: DatasetRecord,
  at: { readonly volume: Volume; readonly device: Device },
  look: Look,
  call: Call,
): Promise<ObservedAttachable> {
  const holders = await look.host.holders(record.datasetId, at.device, call);
  if (holders.length > 0) return { kind: "held", holders };
  const content = await look.host.inspect(
    at.device,
    { clusterId: look.clusterId, datasetId: record.datasetId, lineage: record.lineage },
    blockFileSystem(record),
    call,
  );
  switch (content.kind) {
    case "blank":
      return { kind: "blank", ...at };
    case "unfinished":
      return { kind: "partial", ...at };
    case "ours":
      return { kind: "ready", ...at, identity: content.identity };
    case "foreign":
      return { kind: "foreign", ...at, detail: content.detail };
    default:
      return unreachable(content);
  }
}
