import type { PluginAnswer } from "../../agent/core/plugin-call.ts";
import type { Engine } from "./engine.ts";
import type { Superblock } from "./kernel.ts";

const mountPatienceMs = 120_000;
const unmountPatienceMs = 60_000;

/** One container with one volume: it binds what is shown, appends, and syncs what it appended. */
export class Container {
  readonly engine: Engine;
  readonly id: string;
  readonly volume: string;
  phase: "waiting" | "starting" | "running" | "stopped" = "waiting";
  superblock: Superblock | null = null;
  /** Its Mount is under way in the engine, also when it was stopped meanwhile. */
  mounting = false;
  /** Nobody waits for its Mount any more. */
  failed = false;
  #sequence = 0;
  #mountId: string;
  #mounts = 1;

  constructor(engine: Engine, id: string, volume: string) {
    this.engine = engine;
    this.id = id;
    this.volume = volume;
    this.#mountId = `${id}-m1`;
  }

  begin(): void {
    this.engine.get(this.volume, (found) => {
      if (found) {
        this.#mount();
        return;
      }
      this.engine.create(this.volume, (created) => {
        if (created) this.#mount();
        else this.#fail();
      });
    });
  }

  #mount(): void {
    const { engine, volume: name } = this;
    this.phase = "waiting";
    this.mounting = true;
    engine.call({ kind: "mount", name, id: this.#mountId }, mountPatienceMs, (answer) =>
      this.#mounted(answer),
    );
  }

  #mounted(answer: PluginAnswer | null): void {
    this.mounting = false;
    if (answer?.kind !== "mountpoint") {
      this.#fail();
      return;
    }
    const { engine } = this;
    const dataset = engine.around.datasetAt(answer.mountpoint);
    engine.mounts.set(this.#mountId, dataset);
    this.#look("mount_answered", dataset);
    if (this.phase === "stopped") {
      // It was stopped while it waited: the engine takes the answered Mount back at once.
      this.#unmount();
      return;
    }
    this.phase = "starting";
    const { prng } = engine.context;
    const bindMs = prng.chance(0.8) ? prng.between(50, 800) : prng.between(800, 20_000);
    engine.strand.after(bindMs, () => this.#bind(dataset));
  }

  #look(when: "mount_answered" | "container_bound", dataset: string): boolean {
    const { machine, context } = this.engine;
    const shown = [...machine.kernel.superblocks].some(
      (one) => one.users.has("shown") && one.dataset === dataset,
    );
    context.tell({ kind: "path_used", node: machine.node, when, dataset, shown });
    return shown;
  }

  #bind(dataset: string): void {
    if (this.phase !== "starting") return;
    const { machine } = this.engine;
    if (!this.#look("container_bound", dataset)) {
      this.stop();
      return;
    }
    for (const superblock of machine.kernel.superblocks) {
      if (superblock.dataset !== dataset || !superblock.users.has("shown")) continue;
      superblock.users.add(`container:${this.id}`);
      this.superblock = superblock;
    }
    this.phase = "running";
    this.#write();
  }

  /** Appends and syncs for as long as it runs: on the machine, whatever its engine does. */
  #write(): void {
    const { machine, context } = this.engine;
    machine.strand.after(context.prng.between(100, 2_500), () => {
      const { superblock } = this;
      if (this.phase !== "running" || superblock === null) return;
      if (this.#append(superblock)) this.#write();
      else this.#broken(superblock);
    });
  }

  #append(superblock: Superblock): boolean {
    if (superblock.dead) return false;
    const { machine, context } = this.engine;
    this.#sequence += 1;
    machine.kernel.append(superblock, this.id, this.#sequence);
    if (!context.prng.chance(0.7)) return true;
    if (!machine.kernel.flush(superblock)) {
      context.marks.hit("fsync failed");
      return false;
    }
    context.tell({
      kind: "write_acknowledged",
      dataset: superblock.dataset,
      node: machine.node,
      writer: this.id,
      sequence: this.#sequence,
    });
    return true;
  }

  /** Its volume fails under it: the process ends. */
  #broken(superblock: Superblock): void {
    const { machine, context } = this.engine;
    context.tell({
      kind: "container_failed",
      dataset: superblock.dataset,
      node: machine.node,
      heardControl: this.engine.around.agent()?.heardControl ?? false,
      excused: false,
    });
    this.stop();
  }

  stop(): void {
    if (this.phase === "stopped") return;
    const running = this.phase === "running";
    this.phase = "stopped";
    if (running) this.#leave();
    this.#unmount();
  }

  #leave(): void {
    const { superblock, engine } = this;
    const { machine, context } = engine;
    this.superblock = null;
    if (superblock === null) return;
    if (context.prng.chance(context.traits.straggler)) {
      // A container by path, or a debug shell with an open file, goes on appending.
      const byPath = context.prng.chance(0.5);
      context.marks.hit(byPath ? "container kept a private mount" : "open file outlived its mount");
      const user = `${byPath ? "container" : "file"}:${this.#mountId}-left`;
      superblock.users.add(user);
      this.#straggle(superblock, user, context.prng.between(1, 6));
    }
    machine.kernel.drop(superblock, `container:${this.id}`);
  }

  #straggle(superblock: Superblock, user: string, turns: number): void {
    const { machine, context } = this.engine;
    machine.strand.after(context.prng.between(1_000, 8_000), () => {
      if (turns > 0 && this.#append(superblock)) this.#straggle(superblock, user, turns - 1);
      else machine.kernel.drop(superblock, user);
    });
  }

  #unmount(): void {
    const { engine, volume: name } = this;
    const mountId = this.#mountId;
    if (!engine.mounts.delete(mountId)) return;
    if (!engine.strand.alive) return; // Never sent: the engine is dead.
    engine.call({ kind: "unmount", name, id: mountId }, unmountPatienceMs, () => {});
  }

  /** `docker restart`: 50 ms between Unmount and the next Mount. */
  restart(): void {
    if (this.phase !== "running") return;
    const { engine } = this;
    this.stop();
    engine.context.marks.hit("container restarted in its gap");
    this.#mounts += 1;
    this.#mountId = `${this.id}-m${this.#mounts}`;
    this.phase = "waiting";
    engine.strand.after(50, () => {
      if (this.phase === "waiting") this.#mount();
    });
  }

  #fail(): void {
    this.phase = "stopped";
    this.failed = true;
  }

  engineDied(): void {
    if (this.phase === "waiting" || this.phase === "starting") {
      this.#fail();
      this.engine.mounts.delete(this.#mountId);
    }
  }

  /** The engine finds it running, or gone: then its mount was never taken back. */
  engineStarted(): void {
    if (this.phase === "running") return;
    this.engine.mounts.delete(this.#mountId);
    this.engine.containers.delete(this.id);
  }
}
