import type { DatasetRecord } from "../domain/record.ts";
import type { NodeId } from "../domain/ids.ts";
import { Trash } from "./trash.ts";
import { StoreMedium } from "./world/store-medium.ts";
import type { Host, World } from "./world/world.ts";

const noticeMs = 20_000;

/** What an operator does, rightly and wrongly: declares dead, restores backups, recovers. */
export class Person {
  readonly #world: World;
  #backup: StoreMedium | null = null;
  readonly #trash: Trash;
  #rescues = 0;

  constructor(world: World) {
    this.#world = world;
    this.#trash = new Trash(world);
  }

  begin(untilMs: number): void {
    const { traits } = this.#world.context;
    this.#repeat(traits.personMs, untilMs, () => this.#judge());
    this.#repeat(traits.storeFaultMs, untilMs, () => this.#storeFault());
  }

  #repeat(meanMs: number, untilMs: number, act: () => void): void {
    if (!Number.isFinite(meanMs)) return;
    const { clock, prng } = this.#world.context;
    clock.after(prng.between(1, 2 * meanMs), () => {
      if (clock.nowMs >= untilMs) return;
      act();
      this.#repeat(meanMs, untilMs, act);
    });
  }

  #judge(): void {
    const { prng } = this.#world.context;
    if (prng.chance(0.3)) this.#rescue();
    const off = this.#world.hosts.filter(({ machine }) => !machine.powered);
    const dead = prng.pick(off);
    if (dead !== undefined) {
      this.declareDead(dead, false);
      return;
    }
    const host = prng.pick(this.#world.hosts);
    if (host !== undefined && prng.chance(0.5)) this.declareDead(host, true);
  }

  /** What was put aside is made a volume of its own. */
  #rescue(): void {
    const { control, context } = this.#world;
    const parted = this.#world
      .records()
      .flatMap(({ datasetId, copies }) =>
        copies.map(({ node, role }) => ({ datasetId, node, role })),
      )
      .filter(({ role }) => role === "diverged");
    const copy = context.prng.pick(parted);
    if (control === null || copy === undefined) return;
    this.#rescues += 1;
    const { datasetId, node } = copy;
    this.#trash.rescue({ datasetId, node, name: `rescued${this.#rescues}` });
  }

  /** The loss is written into the ledger before the word takes effect. */
  declareDead(host: Host, force: boolean): void {
    const { control, context } = this.#world;
    if (control === null) return;
    control.strand.deliver(() => {
      const { state } = control.core;
      if (state.mode.kind === "read_only" || !state.nodes.has(host.node)) return;
      if (state.sessionOf(host.node) !== null && !force) return;
      context.marks.hit("declared dead");
      if (host.machine.powered) {
        context.marks.hit("declared dead wrongly");
        this.#acceptLoss(host, [...state.records.values()]);
      }
      for (const record of state.records.values()) this.#acceptOlder(host.node, record);
      control.run((core) => core.declareDead(host.node, force, control.nowMs));
    });
  }

  #acceptLoss({ machine, node }: Host, records: readonly DatasetRecord[]): void {
    const { context, storage } = this.#world;
    // The word is of the node: it holds for what a store in doubt does not know of, too.
    const known = new Set(records.map(({ datasetId }) => datasetId));
    for (const { dataset, disk } of storage.volumes.values()) {
      const open = machine.kernel.open(dataset).length > 0;
      if (known.has(dataset) || !open) continue;
      const advisory = context.traits.exclusive === "advisory";
      const { generation } = disk;
      context.tell({ kind: "override", dataset, node, generation, advisory });
    }
    for (const { datasetId, generation, poolKind } of records) {
      // What a node of a local dataset writes from here on is on its own disk alone.
      const advisory = poolKind === "local" || context.traits.exclusive === "advisory";
      if (advisory) context.marks.hit("loss accepted");
      context.tell({ kind: "override", dataset: datasetId, node, generation, advisory });
    }
  }

  /** A copy elsewhere is made the live one: older than what its node had acknowledged. */
  #acceptOlder(node: NodeId, { datasetId, copies }: DatasetRecord): void {
    const held = copies.some((one) => one.node === node && one.role === "live");
    const elsewhere = copies.some((one) => one.node !== node && one.role !== "diverged");
    if (!held || !elsewhere) return;
    this.#world.context.marks.hit("older copy accepted");
    this.#world.context.tell({ kind: "loss_accepted", dataset: datasetId, disk: false });
  }

  /** An old backup is put back, or the store is lost; either way it says so and is recovered. */
  #storeFault(): void {
    const { prng, marks } = this.#world.context;
    if (prng.chance(0.3)) {
      this.#copyStore();
      return;
    }
    const { medium } = this.#world;
    // With a clone about, whoever forgot its node could not tell the two apart: that would be two
    // independent failures (design 4).
    if (this.#world.clones.some(({ machine }) => machine.powered)) return;
    if (this.#world.forgets === "node") return;
    if (prng.chance(0.15)) {
      marks.hit("store lost");
      this.#world.forgets = "store";
      this.#world.killControl();
      medium.becomeLike(new StoreMedium(prng.uuid(), this.#world.clusterId));
      medium.setBack = true;
      this.#startSoon();
      return;
    }
    if (this.#backup === null) {
      this.#backup = medium.copy();
      return;
    }
    marks.hit("store went back");
    this.#world.forgets = "store";
    this.#world.killControl();
    medium.becomeLike(this.#backup);
    medium.setBack = true;
    if (this.#world.flaws.trustsBackups !== true)
      medium.readOnly = {
        kind: "read_only",
        code: "STORE_WENT_BACK",
        message: "This store was made from a backup: flocker control recover",
      };
    this.#backup = null;
    this.#startSoon();
  }

  #startSoon(): void {
    const { prng, clock } = this.#world.context;
    clock.after(prng.between(500, 3_000), () => {
      this.#world.startControl();
      clock.after(prng.between(1_000, 2 * noticeMs), () => this.recover());
    });
  }

  /** Its files are on another machine too, and run there, until somebody sees it. */
  #copyStore(): void {
    const { prng, clock } = this.#world.context;
    if (this.#world.control === null || this.#world.twin !== null) return;
    this.#world.startTwin();
    clock.after(prng.between(10_000, 100_000), () => this.#world.killTwin());
  }

  /** `flocker control recover`, as long as the service says that it is needed. */
  recover(): void {
    const { control, medium } = this.#world;
    if (medium.readOnly === null && control?.core.state.mode.kind !== "read_only") return;
    this.#world.killControl();
    medium.readOnly = null;
    medium.recovering = true;
    this.#world.startControl();
  }
}
