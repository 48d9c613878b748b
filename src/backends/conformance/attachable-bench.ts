import type { DatasetId, OpId } from "../../domain/ids.ts";
import type { Capabilities } from "../../domain/pool.ts";
import type { Attacher, Device, Volume } from "../../domain/volume.ts";
import type { AttachableBackend, Call } from "../attachable.ts";
import { type Case, runCase } from "./run-case.ts";

/** Two nodes of one cluster at one storage system, and what a case needs to look behind it. */
export type AttachableBench = {
  /** The driver as the node `here` runs it, and as the node `there` does. */
  readonly backend: AttachableBackend;
  readonly otherBackend: AttachableBackend;
  /** The same storage system, used by another cluster. */
  readonly foreignBackend: AttachableBackend;
  readonly here: Attacher;
  readonly there: Attacher;
  /** `here` after a reboot. */
  readonly hereLater: Attacher;
  readonly call: Call;
  readonly newDatasetId: () => DatasetId;
  readonly newOp: () => OpId;
  readonly device: DeviceProbe;
};

/** What is done with a device behind the driver's back. */
export type DeviceProbe = {
  /** Writes a text at its beginning and flushes it; fails when the device refuses. */
  readonly write: (device: Device, text: string) => Promise<void>;
  /** The text at its beginning, without the zeros after it. */
  readonly read: (device: Device) => Promise<string>;
  readonly sizeBytes: (device: Device) => Promise<number>;
  /** As a mount does: in use until disposed. */
  readonly use: (device: Device) => Promise<AsyncDisposable>;
  /** The agent's own exclusive hold (`Host.holdExclusively`). */
  readonly hold: (device: Device) => Promise<AsyncDisposable>;
};

export type AttachableCase = Case<AttachableBench> & {
  /** Left out for a driver that does not declare what it needs. */
  readonly needs?: (capabilities: Capabilities) => boolean;
};

/** Runs a case and removes every volume of the datasets that it asked for. */
export function runAttachableCase(
  item: AttachableCase,
  makeBench: () => Promise<AttachableBench & AsyncDisposable>,
): Promise<void> {
  return runCase(item, makeBench, removeAll);
}

async function removeAll(bench: AttachableBench, datasetIds: readonly DatasetId[]): Promise<void> {
  const { backend, otherBackend, foreignBackend, here, there, call } = bench;
  for (const datasetId of datasetIds) {
    for (const driver of [backend, foreignBackend]) {
      for (const { ref } of await driver.find(datasetId, call)) {
        await driver.detach(ref, here.node, call);
        await (driver === backend ? otherBackend : driver).detach(ref, there.node, call);
        await driver.destroy(ref, datasetId, call);
      }
    }
  }
}

/** The smallest volume of this driver, labelled with a dataset of its own. */
export async function newVolume(bench: AttachableBench): Promise<Volume> {
  const { backend, call, newDatasetId, newOp } = bench;
  const { sizeBytesMin: sizeBytes } = backend.capabilities;
  return backend.create({ datasetId: newDatasetId(), op: newOp(), sizeBytes }, call);
}
