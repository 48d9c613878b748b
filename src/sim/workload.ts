import type { DatasetId, NodeId } from "../domain/ids.ts";
import { type DatasetRecord, nameOf } from "../domain/record.ts";
import { localPoolName, poolOf } from "./pool/names.ts";
import { Trash } from "./trash.ts";
import type { Container } from "./world/container.ts";
import type { Host, World } from "./world/world.ts";

/** What users do: containers on any host, orders, deletions, names used again. */
export class Workload {
  readonly #world: World;
  readonly names: readonly string[];
  readonly trash: Trash;

  constructor(world: World) {
    this.#world = world;
    this.trash = new Trash(world);
    const { traits, prng } = world.context;
    this.names = Array.from({ length: traits.datasets }, (_, index) =>
      prng.chance(traits.local) ? `${localPoolName}${index + 1}` : `db${index + 1}`,
    );
  }

  /** Acts at random instants until `untilMs`. */
  begin(untilMs: number): void {
    const { context } = this.#world;
    const { workMs } = context.traits;
    if (!Number.isFinite(workMs)) return;
    context.clock.after(context.prng.between(1, 2 * workMs), () => {
      if (context.nowMs >= untilMs) return;
      this.act();
      this.begin(untilMs);
    });
  }

  act(): void {
    const { prng, traits } = this.#world.context;
    const name = prng.pick(this.names);
    const host = prng.pick(this.#world.hosts);
    if (name === undefined || host === undefined) return;
    if (prng.chance(traits.deletes)) {
      if (prng.chance(0.6) || !this.trash.act()) this.delete(name, prng.chance(0.5));
      return;
    }
    const roll = prng.next();
    if (roll < 0.4) this.run(host, name);
    else if (roll < 0.7) this.#stopOne();
    else if (roll < 0.78) this.#restartOne();
    else if (roll < 0.93) this.order(name, host.node);
    else this.create(name, host.node);
  }

  run(host: Host, name: string): Container | null {
    if (!host.machine.powered || !host.engine.strand.alive) return null;
    this.#request(name, host.node);
    const { containers } = host.engine;
    for (const [id, one] of containers) if (one.phase === "stopped") containers.delete(id);
    return containers.size < 6 ? host.engine.run(name) : null;
  }

  /** Of one name, or of all: what runs is stopped. */
  stopAll(host: Host): void {
    for (const container of host.engine.containers.values()) container.stop();
  }

  #running(): readonly Container[] {
    return this.#world.hosts
      .filter(({ machine }) => machine.powered && !machine.stopped)
      .flatMap(({ engine }) => [...engine.containers.values()])
      .filter(({ phase }) => phase === "running");
  }

  #stopOne(): void {
    this.#world.context.prng.pick(this.#running())?.stop();
  }

  #restartOne(): void {
    const container = this.#world.context.prng.pick(this.#running());
    if (container === undefined) return;
    this.#request(container.volume, container.engine.machine.node);
    container.restart();
  }

  #request(name: string, node: string): void {
    this.#world.witness.request(name, node);
  }

  create(name: string, primary: NodeId): void {
    const { control } = this.#world;
    if (control === null || this.#world.recordNamed(name) !== undefined) return;
    control.strand.deliver(() => {
      const used = this.#world.records().some((record) => nameOf(record) === name);
      if (used) this.#world.context.marks.hit("name created again");
      const again = this.trash.oldId();
      const begun = ({ datasetId: dataset }: DatasetRecord): void => {
        if (again !== null) this.#world.context.tell({ kind: "begun_again", dataset });
      };
      control.run(
        (core) =>
          core.create(
            {
              datasetId: again,
              primary,
              metadata: { name },
              maximumSizeBytes: null,
              pool: poolOf(name),
              fileSystem: null,
              reclaim: null,
            },
            control.nowMs,
          ),
        begun,
      );
    });
  }

  order(name: string, primary: NodeId): void {
    const record = this.#world.recordNamed(name);
    if (record !== undefined) this.orderRecord(record, primary);
  }

  /** By its id: recovery may have given its name to a younger one. */
  orderRecord(record: DatasetRecord, primary: NodeId): void {
    const { control } = this.#world;
    if (control === null) return;
    this.#world.context.marks.hit("orders toggled");
    this.#world.witness.request(nameOf(record) ?? "", primary);
    control.strand.deliver(() =>
      control.run((core) => core.order(record.datasetId, primary, control.nowMs)),
    );
  }

  delete(name: string, purge: boolean): void {
    const { control, context } = this.#world;
    const record = this.#world.recordNamed(name);
    if (control === null || record === undefined) return;
    const tell = (what: "delete_asked" | "deleted", dataset: DatasetId): void =>
      context.tell({ kind: "configuration_acknowledged", what, dataset, name });
    const answered = ({ datasetId }: DatasetRecord): void => {
      context.marks.hit("dataset deleted");
      tell("deleted", datasetId);
    };
    control.strand.deliver(() => {
      tell("delete_asked", record.datasetId);
      const { datasetId: dataset } = record;
      if (purge) context.tell({ kind: "destroy_asked", dataset });
      control.run((core) => core.delete(record.datasetId, purge, control.nowMs), answered);
    });
  }
}
