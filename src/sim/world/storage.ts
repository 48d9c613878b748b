import type { DatasetId, NodeId, OpId } from "../../domain/ids.ts";
import type { Attacher } from "../../domain/volume.ts";
import { type LocalPool, subvolumesOf } from "../pool/local-pool.ts";
import type { Tree } from "../pool/subvolume.ts";
import { failure, type WorldContext } from "./world-context.ts";

/** What is on the storage's disks: survives everything but the storage itself. */
export type Disk = {
  state: "blank" | "partial" | "formatted";
  /** Which mkfs of the world made it. */
  mkfs: number;
  lineage: OpId | null;
  datasetId: DatasetId | null;
  generation: number;
  /** Highest sequence of each writer. */
  entries: ReadonlyMap<string, number>;
};

export type StoredVolume = {
  readonly ref: string;
  readonly dataset: DatasetId;
  readonly op: OpId;
  readonly sizeBytes: number;
  attachment: Attacher | null;
  readonly disk: Disk;
  wasShown: boolean;
  destroyed: boolean;
};

/** What stands for the one volume that all copies of a local dataset are. */
export function localRef(dataset: DatasetId): string {
  return `local-${dataset}`;
}

type Request = {
  /** True while whoever asked can still hear the answer. */
  readonly callerAlive: () => boolean;
  readonly effect: () => unknown;
  readonly answered: (value: unknown) => void;
  readonly failed: (error: unknown) => void;
};

/** Volumes, attachments, and requests whose effects may come late, twice or after their caller. */
export class Storage {
  readonly context: WorldContext;
  readonly volumes = new Map<string, StoredVolume>();
  /** Volumes that it does not show for a while (a pool that is not mounted). */
  readonly hidden = new Set<string>();
  /** Every node's own, and local datasets that were ever shown. */
  readonly pools: LocalPool[] = [];
  readonly shownLocal = new Set<DatasetId>();
  readonly #unreachableFrom = new Set<NodeId>();
  #nextVolume = 1;
  #nextMkfs = 1;
  /** What the kernel of a machine's boot does when an attachment of it came or went. */
  onAttachment: (era: string, ref: string, attached: boolean) => void = () => {};
  onForcedDetach: (node: NodeId, volume: StoredVolume) => void = () => {};

  constructor(context: WorldContext) {
    this.context = context;
  }

  /** Every copy of a local dataset that is on any disk. */
  copiesOf(dataset: DatasetId): readonly Tree[] {
    return this.pools.flatMap((pool) => subvolumesOf(pool.at(dataset)));
  }

  /** Some disk has all of a local dataset: not merely what a move left of it. */
  isWhole(dataset: DatasetId): boolean {
    return this.pools.some((pool) => {
      const { volume, copies } = pool.at(dataset);
      return volume !== null || [...copies.keys()].some((name) => name.endsWith(".delta"));
    });
  }

  newMkfs(): number {
    this.#nextMkfs += 1;
    return this.#nextMkfs - 1;
  }

  cutOff(node: NodeId, off: boolean): void {
    if (off) this.#unreachableFrom.add(node);
    else this.#unreachableFrom.delete(node);
  }

  live(): readonly StoredVolume[] {
    return [...this.volumes.values()].filter(
      ({ destroyed, ref }) => !destroyed && !this.hidden.has(ref),
    );
  }

  get(ref: string): StoredVolume {
    const found = this.live().find((volume) => volume.ref === ref);
    if (found === undefined) throw failure("VOLUME_NOT_FOUND", `there is no volume ${ref}`);
    return found;
  }

  make(dataset: DatasetId, op: OpId, sizeBytes: number): StoredVolume {
    const ref = `vol-${this.#nextVolume}`;
    this.#nextVolume += 1;
    const disk: Disk = {
      state: "blank",
      mkfs: 0,
      lineage: null,
      datasetId: null,
      generation: 0,
      entries: new Map(),
    };
    const made = {
      ref,
      dataset,
      op,
      sizeBytes,
      attachment: null,
      disk,
      wasShown: false,
      destroyed: false,
    };
    this.volumes.set(ref, made);
    return made;
  }

  /** A read: fresh, or not at all. */
  read(node: NodeId, request: Request): void {
    this.#pass(node, request, () => this.#execute(request, this.#latencyMs(), true));
  }

  /** A change: accepted is not executed; bounded by the driver's `operationMsMax`. */
  change(node: NodeId, request: Request): void {
    this.#pass(node, request, () => this.#fate(request));
  }

  #pass(node: NodeId, request: Request, then: () => void): void {
    const { context } = this;
    if (this.#unreachableFrom.has(node)) {
      context.marks.hit("storage unreachable");
      const error = failure("BACKEND_UNAVAILABLE", "the storage cannot be reached");
      context.clock.after(1_000, () => request.failed(error));
      return;
    }
    then();
  }

  #latencyMs(): number {
    return this.context.prng.between(2, 60);
  }

  #fate(request: Request): void {
    const { prng, traits, marks, clock } = this.context;
    const lateMs = (): number => prng.between(500, traits.operationMsMax - 1_000);
    const timeOut = (): void => {
      const error = failure("DEADLINE_EXCEEDED", "the storage did not answer");
      clock.after(prng.between(200, 5_000), () => request.failed(error));
    };
    if (!prng.chance(traits.storageFault)) {
      this.#execute(request, this.#latencyMs(), true);
      return;
    }
    switch (prng.between(1, 5)) {
      case 1:
        marks.hit("storage refused");
        clock.after(this.#latencyMs(), () =>
          request.failed(failure("BACKEND_REJECTED", "the storage is over its rate")),
        );
        return;
      case 2:
        marks.hit("storage request lost");
        return timeOut();
      case 3:
        marks.hit("storage answer lost");
        this.#execute(request, this.#latencyMs(), false);
        return timeOut();
      case 4:
        marks.hit("storage request late");
        this.#execute(request, lateMs(), false);
        return timeOut();
      default:
        marks.hit("storage request duplicated");
        this.#execute(request, this.#latencyMs(), false);
        this.#execute(request, lateMs(), false);
        return timeOut();
    }
  }

  #execute(request: Request, delayMs: number, answers: boolean): void {
    const { clock, marks } = this.context;
    clock.after(delayMs, () => {
      if (!request.callerAlive()) marks.hit("storage effect after its caller died");
      let end: () => void;
      try {
        const value = request.effect();
        end = () => request.answered(value);
      } catch (error) {
        end = () => request.failed(error);
      }
      if (answers) clock.after(this.#latencyMs(), end);
    });
  }
}
