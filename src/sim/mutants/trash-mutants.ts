import type { DatasetId } from "../../domain/ids.ts";
import { recordStep } from "../../domain/record-step.ts";
import type { ControlFlaws } from "../world/control-process.ts";
import type { Machine } from "../world/machine.ts";
import { ModelDriver } from "../world/model-driver.ts";
import type { Surroundings } from "../world/model-host.ts";
import type { StoredVolume } from "../world/storage.ts";
import { assert } from "../../lib/assert.ts";
import { noFlaws } from "../world/world.ts";
import { nothingIsLate } from "./agent-mutants.ts";
import type { Mutant } from "./mutant.ts";

/** Destroys what bears the dataset's id by then. */
class DestroysById extends ModelDriver {
  protected override doomed(_ref: string, dataset: DatasetId): StoredVolume | undefined {
    return this.machine.storage.live().find((one) => one.dataset === dataset);
  }
}

function destroysById(machine: Machine, around: Surroundings): ModelDriver {
  return new DestroysById(machine, around);
}

/** What was destroyed is forgotten: its id is free again. */
const forgetsTombs: ControlFlaws = {
  started: (process) =>
    process.strand.every(500, () => {
      const { records } = process.core.state;
      for (const { datasetId, deletion } of records.values()) {
        if (deletion?.phase === "gone") records.delete(datasetId);
      }
    }),
};

/** How long something lies in the trash is read off the wall clock alone. */
const wallRetention: ControlFlaws = {
  started: ({ core }) => {
    core.state.retention.remainingMs = () => 0;
  },
};

/** A purge is carried out, and the record says that it lies in the trash, to be restored. */
const purgesUnseen: ControlFlaws = {
  started: ({ core }) => {
    core.restore = (id) => {
      const record = [...core.state.records.values()].find(({ datasetId }) => datasetId === id);
      assert(record !== undefined, "people restore what there is");
      core.state.apply(record.datasetId, { kind: "restored", metadata: record.metadata });
      return record;
    };
  },
  step: (record, event) => {
    if (event.kind === "restored" && record.deletion?.phase === "trashed") {
      return { ...record, metadata: event.metadata, deletion: null };
    }
    if (
      event.kind === "purge_asked" &&
      record.deletion?.phase === "trashed" &&
      record.op === null
    ) {
      const { lineage: id } = record;
      const op = { id, kind: "destroy", target: null, executor: null, vanishedAtMs: null } as const;
      return { ...record, op };
    }
    return event.kind === "op_closed" && record.op?.kind === "destroy" && record.deletion === null
      ? { ...record, op: null, volume: { kind: "gone" } }
      : recordStep(record, event);
  },
};

const attachable = { datasets: 1, local: 0, workMs: 2_000, deletes: 0.5 } as const;

/** Planted bugs of what destroys. */
export const trashMutants: readonly Mutant[] = [
  {
    name: "b23",
    says: "a late destroy hits what was made anew under the old id",
    checker: "K6",
    traits: { ...attachable, workMs: 1_000, storageFault: 0.4 },
    flaws: () => ({
      ...noFlaws,
      control: forgetsTombs,
      agent: { ...nothingIsLate, driver: destroysById },
    }),
  },
  {
    name: "b24",
    says: "a jump of the wall clock empties the trash",
    checker: "K6",
    traits: { ...attachable, controlFaultMs: 8_000, wallJumps: true },
    flaws: () => ({ ...noFlaws, control: wallRetention }),
  },
  {
    name: "b25",
    says: "what is being purged is restored",
    checker: "K6",
    traits: attachable,
    flaws: () => ({ ...noFlaws, control: purgesUnseen }),
  },
];
