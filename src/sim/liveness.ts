import type { DatasetRecord } from "../domain/record.ts";
import { liveCopy } from "../domain/record.ts";
import type { Faults } from "./faults.ts";
import type { Person } from "./person.ts";
import type { Simulation } from "./simulate.ts";

/** Longest path: users that nobody shows any more, a late request, a few retries. */
const boundMs = 420_000;
const mountMs = 125_000;
const stepMs = 2_000;
/** Connections whose end nobody heard are given up meanwhile. */
const recoveredMs = 90_000;

/** After healing: what is ordered is there within a bound, without anybody's help. */
export class Liveness {
  readonly #simulation: Simulation;
  readonly #faults: Faults;
  readonly #person: Person;

  constructor(simulation: Simulation, faults: Faults, person: Person) {
    this.#simulation = simulation;
    this.#person = person;
    this.#faults = faults;
  }

  async run(): Promise<void> {
    const { world, context, workload } = this.#simulation;
    this.#faults.heal();
    this.#person.recover();
    context.note("healed", {});
    await this.#simulation.runUntil(context.nowMs + 5_000);
    for (const host of world.hosts) workload.stopAll(host);
    // Every Mount that still waits is answered or given up: afterwards nobody asks for anything.
    await this.#simulation.runUntil(context.nowMs + mountMs);
    for (const host of world.hosts) workload.stopAll(host);
    this.#faults.clones.end();
    await this.#recovered();
    const ends = context.nowMs + boundMs;
    const wanted = this.#order();
    for (;;) {
      if (this.#simulation.violation !== null) return;
      const waiting = wanted.filter(([id, node]) => !world.shownOn(id).includes(node));
      if (waiting.length === 0 || context.nowMs >= ends) break;
      await this.#simulation.runUntil(context.nowMs + stepMs);
    }
    for (const [id, node] of wanted) {
      const reached = world.shownOn(id).includes(node);
      context.tell({
        kind: "liveness",
        dataset: id,
        wantedOn: node,
        reached,
        detail: reached ? "" : this.#describe(id),
      });
    }
  }

  /** A person sees to it that the service takes orders, which it does once every node was heard. */
  async #recovered(): Promise<void> {
    const { world, context } = this.#simulation;
    const ends = context.nowMs + recoveredMs;
    this.#person.recover();
    await this.#simulation.runUntil(context.nowMs + 10_000);
    while (world.control?.core.state.mode.kind !== "normal" && context.nowMs < ends) {
      this.#person.recover();
      await this.#simulation.runUntil(context.nowMs + stepMs);
    }
  }

  /** What a person who debugs the seed looks at first. */
  #describe(id: DatasetRecord["datasetId"]): string {
    const { world } = this.#simulation;
    const agents = world.hosts.map(({ agent, node }) => {
      const local = agent?.core.state.datasets.get(id);
      if (local === undefined) return { node };
      const { phase, releaseAsked, condition, users, waiting, observed } = local;
      const seen = observed?.kind ?? null;
      return { node, phase, releaseAsked, condition, seen, users: users.size, waiting };
    });
    const { mode, sessions } = world.control?.core.state ?? {};
    const conditions = [...(sessions?.values() ?? [])].map((one) => [one.node, one.condition]);
    return JSON.stringify({ record: world.medium.records.get(id), agents, mode, conditions });
  }

  /** A restored backup may remember a volume that was destroyed since: it says VOLUME_MISSING. */
  #destroyed(volume: DatasetRecord["volume"]): boolean {
    const { storage } = this.#simulation.world;
    return volume.kind === "exists" && storage.volumes.get(volume.ref)?.destroyed === true;
  }

  /**
   * A backup from before its mkfs does not know which one made it: it says IDENTITY_MISMATCH. And a
   * late mkfs of a node whose writes nothing stops may have destroyed it, as a person accepted: it
   * says so, or VOLUME_LOST_CONTENT.
   */
  #forgotten({ volume, formatted, lineage }: DatasetRecord): boolean {
    const { world, context } = this.#simulation;
    const known = volume.kind === "exists" ? world.storage.volumes.get(volume.ref) : undefined;
    if (known === undefined) return false;
    const { exclusive, personMs } = context.traits;
    const isAccepted = exclusive === "advisory" && Number.isFinite(personMs);
    const { state, lineage: found } = known.disk;
    const isLost = isAccepted && (state !== "formatted" || found !== lineage);
    return formatted === "no" ? known.wasShown : isLost;
  }

  /** A disk lost what it had, or a restored store remembers a volume that was destroyed since. */
  #needsPerson(record: DatasetRecord): boolean {
    const { datasetId, poolKind, volume, from } = record;
    const { storage, damaged } = this.#simulation.world;
    if (poolKind === "attachable") return false;
    // A pool that was filled after the seal is a person's to make room in.
    const small = this.#simulation.context.traits.poolBytes < 2 ** 24;
    return (
      damaged.has(datasetId) ||
      // What is to be rescued may have gone with its dataset meanwhile.
      (from !== null && volume.kind === "creating") ||
      (small && record.move !== null) ||
      this.#onLostDisk(homeOf(record)) ||
      (record.claim !== null && this.#onLostDisk(record.claim.node)) ||
      (volume.kind === "exists" && !storage.isWhole(datasetId))
    );
  }

  #onLostDisk(node: string): boolean {
    return this.#simulation.world.host(node)?.machine.pool.lost === true;
  }

  #order(): readonly (readonly [DatasetRecord["datasetId"], string])[] {
    const { world, context, workload } = this.#simulation;
    return world
      .records()
      .filter(({ deletion, lost }) => deletion === null && !lost)
      .filter(({ volume }) => !this.#destroyed(volume))
      .filter((record) => !this.#forgotten(record))
      .filter((record) => !this.#needsPerson(record))
      .map((record) => {
        // Where a pool may be too small, what is there stays there.
        const local = record.poolKind === "local";
        const roomy = !local || context.traits.poolBytes > 2 ** 24;
        const fit = world.hosts.filter(({ node }) => !local || !this.#onLostDisk(node));
        const host = roomy ? context.prng.pick(fit) : world.host(homeOf(record));
        const node = host?.node ?? record.primary;
        workload.orderRecord(record, node);
        return [record.datasetId, node] as const;
      });
  }
}

function homeOf(record: DatasetRecord): string {
  return liveCopy(record)?.node ?? record.primary;
}
