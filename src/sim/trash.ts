import type { Rescue } from "../control/core/kept.ts";
import type { DatasetId } from "../domain/ids.ts";
import type { DatasetRecord } from "../domain/record.ts";
import { localPoolName } from "./pool/names.ts";
import type { World } from "./world/world.ts";

/** What people do with what was deleted, or put aside. */
export class Trash {
  readonly #world: World;
  #rescued = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** False: there is nothing to do anything with. */
  act(): boolean {
    const { prng } = this.#world.context;
    if (prng.chance(0.3) && this.#rescueSome()) return true;
    const record = prng.pick(this.#kept());
    if (record === undefined) return false;
    if (prng.chance(0.5)) this.restore(record);
    else this.empty(record);
    return true;
  }

  #kept(): readonly DatasetRecord[] {
    const { records } = this.#world.medium;
    return [...records.values()].filter(({ deletion }) => deletion?.phase === "trashed");
  }

  /** Of a dataset that was destroyed: somebody asks for it again, which is refused. */
  oldId(): DatasetId | null {
    const { context, medium } = this.#world;
    const gone = [...medium.records.values()].filter(({ deletion }) => deletion?.phase === "gone");
    if (gone.length === 0 || !context.prng.chance(0.3)) return null;
    context.marks.hit("old id asked for");
    return context.prng.pick(gone)?.datasetId ?? null;
  }

  /** `flockerctl trash restore`: what was asked of it before is over once this is answered. */
  restore({ datasetId: dataset }: DatasetRecord): void {
    this.#ask(() => {
      const { context, control } = this.#world;
      context.tell({ kind: "restore_asked", dataset });
      control?.run(
        (core) => core.restore(dataset, null, control.nowMs),
        () => {
          context.marks.hit("restored from the trash");
          context.tell({ kind: "begun_again", dataset });
        },
      );
    });
  }

  /** `flockerctl trash empty`, of one dataset. */
  empty({ datasetId: dataset }: DatasetRecord): void {
    this.#ask(() => {
      const { context, control } = this.#world;
      context.tell({ kind: "destroy_asked", dataset });
      control?.run(
        (core) => core.purge(dataset, control.nowMs),
        () => context.marks.hit("trash emptied"),
      );
    });
  }

  /** `flockerctl copies rescue`. */
  rescue(wanted: Rescue): void {
    this.#ask(() => {
      const { control } = this.#world;
      control?.run((core) => core.rescue(wanted, control.nowMs));
    });
  }

  /** Of any copy that is none in use. */
  #rescueSome(): boolean {
    const { context } = this.#world;
    const kept = [...this.#world.medium.records.values()].flatMap(({ datasetId, copies }) =>
      copies
        .filter(
          ({ role, discarding }) => !discarding && (role === "diverged" || role === "fallback"),
        )
        .map(({ node }) => ({ datasetId, node })),
    );
    const copy = context.prng.pick(kept);
    if (copy === undefined || this.#rescued > 1) return false;
    this.#rescued += 1;
    this.rescue({ ...copy, name: `${localPoolName}-rescued` });
    return true;
  }

  #ask(act: () => void): void {
    this.#world.control?.strand.deliver(act);
  }
}
