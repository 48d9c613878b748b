import type { DatasetId } from "../../domain/ids.ts";
import type { Volume } from "../../domain/volume.ts";
import type { ControlFlaws } from "../world/control-process.ts";
import type { Machine } from "../world/machine.ts";
import { ModelDriver } from "../world/model-driver.ts";
import type { Surroundings } from "../world/model-host.ts";
import { noFlaws } from "../world/world.ts";
import type { Mutant } from "./mutant.ts";

/** Of each dataset one observation is kept, the last, whoever saw it. */
const lastObservation: ControlFlaws = {
  receive: (process, connection, message) => {
    process.run((core) => core.receive(connection.id, message, process.nowMs));
    if (message.kind !== "observed") return;
    for (const { observations } of process.core.state.sessions.values()) {
      for (const one of message.observations) observations.set(one.datasetId, one);
    }
  },
};

const listMsMax = 60_000;

/** What others have attached is known from a list that may be a minute old. */
class StaleDriver extends ModelDriver {
  readonly #listed = new Map<
    DatasetId,
    { readonly atMs: number; readonly all: readonly Volume[] }
  >();

  override async find(dataset: DatasetId): Promise<readonly Volume[]> {
    const all = await super.find(dataset);
    const { nowMs, node } = this.machine;
    if (all.some(({ attachedTo }) => attachedTo?.node === node)) return all;
    const known = this.#listed.get(dataset);
    if (known !== undefined && nowMs < known.atMs + listMsMax) return known.all;
    this.#listed.set(dataset, { atMs: nowMs, all });
    return all;
  }
}

function staleDriver(machine: Machine, around: Surroundings): ModelDriver {
  return new StaleDriver(machine, around);
}

const shared = { datasets: 1, local: 0, workMs: 2_000, deletes: 0 } as const;

/** What is said of a dataset is not so. */
export const truthMutants: readonly Mutant[] = [
  {
    name: "b34",
    says: "conditions come from the last observation, whoever made it",
    checker: "K10",
    traits: shared,
    flaws: () => ({ ...noFlaws, control: lastObservation }),
  },
  {
    name: "b35",
    says: "an old list of the storage is believed",
    checker: "K10",
    traits: shared,
    flaws: () => ({ ...noFlaws, agent: { driver: staleDriver } }),
  },
];
