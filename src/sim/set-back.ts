import type { DatasetId } from "../domain/ids.ts";
import type { Superblock } from "./world/kernel.ts";
import type { Host, World } from "./world/world.ts";

/** A machine's memory, as somebody kept it: the agent's files, mounts, and unwritten pages. */
type Snapshot = {
  readonly boot: string;
  readonly disk: Host["machine"]["disk"];
  readonly run: Host["machine"]["run"];
  readonly views: ReadonlyMap<Superblock, ReadonlyMap<string, number>>;
};

/**
 * Somebody sets a machine back to a snapshot of its memory, and reboots it once it says so. What it
 * wrote since it was taken is given up by that, and so is what its old pages overwrite.
 */
export class SetBacks {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  begin(host: Host, spanMs: number): void {
    const { clock, prng } = this.#world.context;
    const snapshot = take(host);
    clock.after(spanMs, () => {
      const { machine } = host;
      const same = machine.powered && !machine.stopped && machine.bootId === snapshot.boot;
      if (!same || host.agent === null || this.#world.context.healed) return;
      if (this.#world.forgets === "store") return;
      this.#world.forgets = "node";
      this.#restore(host, snapshot);
      clock.after(prng.between(20_000, 60_000), () => this.#reboot(host, snapshot.boot));
    });
  }

  #restore(host: Host, { disk, run, views }: Snapshot): void {
    const { context, witness } = this.#world;
    const { machine, node } = host;
    context.marks.hit("node set back");
    for (const [dataset, generation] of this.#generations()) {
      context.tell({ kind: "override", dataset, node, generation, advisory: true });
    }
    witness.forgot(node);
    this.#world.killAgent(host);
    machine.disk = disk;
    machine.run = run;
    machine.isSetBack = true;
    machine.kernel.setBack(views);
    context.clock.after(context.prng.between(50, 1_000), () => this.#world.startAgent(host));
  }

  /** Of every dataset that there is: what its node does with it from here on is given up. */
  #generations(): ReadonlyMap<DatasetId, number> {
    const { storage, medium } = this.#world;
    const found = [...storage.volumes.values()].map(
      ({ dataset, disk: { generation } }) => [dataset, generation] as const,
    );
    const known = [...medium.records.values()].map(
      ({ datasetId, generation }) => [datasetId, generation] as const,
    );
    return new Map([...found, ...known]);
  }

  #reboot(host: Host, boot: string): void {
    const { context } = this.#world;
    if (!host.machine.powered || host.machine.bootId !== boot) return;
    this.#world.powerOff(host);
    context.clock.after(context.prng.between(3_000, 10_000), () => this.#world.powerOn(host));
  }
}

function take({ machine: { bootId, disk, run, kernel } }: Host): Snapshot {
  const open = [...kernel.superblocks].filter(({ subvolume, dead }) => subvolume === null && !dead);
  const views = new Map(open.map((one) => [one, new Map(one.entries)] as const));
  return { boot: bootId, disk, run, views };
}
