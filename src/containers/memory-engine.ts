import { createHash } from "node:crypto";
import { anonymousName } from "../domain/record.ts";
import { assert } from "../lib/assert.ts";
import {
  type ContainerAction,
  type Engine,
  type EngineAnswer,
  type EngineCall,
  type EngineContainer,
  type EngineEvent,
  type OurMounts,
  type StartOutcome,
  containerPrefix,
  isRunning,
  isShownPath,
  shouldRun,
} from "./engine.ts";

export type MemoryMounts = {
  /** Volumes by name, with the driver that they belong to. */
  readonly volumes?: readonly { readonly driver: string; readonly name: string }[];
  readonly binds?: readonly string[];
  readonly restartPolicy?: string;
};

/** The simplest engine that is right: for tests of whoever asks one. It can be away. */
export class MemoryEngine implements Engine {
  readonly #ours: OurMounts;
  readonly #containers = new Map<string, EngineContainer>();
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  #down: string | null = null;
  #created = 0;
  /** What `loadDrivers` finds. */
  readonly drivers: string[] = ["local"];
  readonly #ownVolumes: string[] = [];
  readonly #restartPolicies = new Map<string, string>();
  readonly #unmountable = new Set<string>();

  constructor(ours: OurMounts) {
    this.#ours = ours;
  }

  /** Ends (with a reason for people) or brings back what answers. Containers stay as they are. */
  setDown(reason: string | null): void {
    const wasDown = this.#down !== null;
    this.#down = reason;
    if (reason !== null && !wasDown) this.#tell({ kind: "disconnected", reason });
    if (reason === null && wasDown) this.#tell({ kind: "connected" });
  }

  /** Makes a container, which does not run yet, and returns its id. */
  create(name: string, mounts: MemoryMounts = {}): string {
    const { volumes = [], binds = [], restartPolicy = "no" } = mounts;
    this.#created += 1;
    const id = createHash("sha256").update(`${this.#created}`).digest("hex");
    const ours = volumes.filter(({ driver }) => driver === this.#ours.driver);
    this.#containers.set(id, {
      id,
      name,
      state: "created",
      running: false,
      volumes: [...new Set(ours.map((volume) => volume.name))].sort(),
      waits: false,
      paths: [...new Set(binds.filter((path) => isShownPath(path, this.#ours)))].sort(),
    });
    this.#restartPolicies.set(id, restartPolicy);
    this.#happened("create", id, name);
    return id;
  }

  /** A volume of the driver `local`. */
  createVolume(name: string): void {
    this.#ownVolumes.push(name);
    if (this.#down === null) this.#tell({ kind: "volume" });
  }

  start(id: string): void {
    this.#change(id, "running", "start");
  }

  /** A start that failed because a volume cannot be mounted; the engine tells nobody. */
  failMount(id: string): void {
    const waits = shouldRun(this.#restartPolicies.get(id) ?? "no");
    this.#containers.set(id, { ...this.#known(id), waits });
    this.#unmountable.add(id);
  }

  /** From here on the volumes of a container can be mounted. */
  repair(id: string): void {
    this.#unmountable.delete(id);
  }

  kill(id: string): void {
    this.#change(id, "exited", "die");
  }

  remove(id: string): void {
    const { name } = this.#known(id);
    this.#containers.delete(id);
    this.#happened("destroy", id, name);
  }

  async containers(call: EngineCall): Promise<EngineAnswer<readonly EngineContainer[]>> {
    return this.#answer(call, [...this.#containers.values()]);
  }

  async container(prefix: string, call: EngineCall): Promise<EngineAnswer<EngineContainer | null>> {
    const fits = [...this.#containers.values()].filter(({ id }) => id.startsWith(prefix));
    const only = fits.length === 1 && containerPrefix.test(prefix) ? (fits[0] ?? null) : null;
    return this.#answer(call, only);
  }

  async localVolumes(call: EngineCall): Promise<EngineAnswer<readonly string[]>> {
    return this.#answer(call, this.#ownVolumes.filter((name) => !anonymousName.test(name)).sort());
  }

  async startWaiting(id: string, call: EngineCall): Promise<EngineAnswer<StartOutcome>> {
    if (this.#down !== null || this.#containers.get(id)?.waits !== true) {
      return this.#answer(call, { kind: "not_waiting" });
    }
    if (this.#unmountable.has(id)) {
      return this.#answer(call, { kind: "failed", reason: "a volume cannot be mounted" });
    }
    this.start(id);
    return this.#answer(call, { kind: "started" });
  }

  async loadDrivers(call: EngineCall): Promise<EngineAnswer<readonly string[]>> {
    return this.#answer(call, [...this.drivers]);
  }

  /** There is no process of its own. */
  async pid(): Promise<number | null> {
    return null;
  }

  watch(listener: (event: EngineEvent) => void, { signal }: EngineCall): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    this.#listeners.add(listener);
    const down = this.#down;
    listener(down === null ? { kind: "connected" } : { kind: "disconnected", reason: down });
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#listeners.delete(listener);
        resolve();
      };
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #answer<T>({ signal }: EngineCall, value: T): EngineAnswer<T> {
    signal.throwIfAborted();
    return this.#down === null
      ? { kind: "answered", value }
      : { kind: "unavailable", reason: this.#down };
  }

  #change(id: string, state: string, action: ContainerAction): void {
    const container = this.#known(id);
    this.#containers.set(id, {
      ...container,
      state,
      running: isRunning(state),
      waits: false,
    });
    this.#happened(action, id, container.name);
  }

  #known(id: string): EngineContainer {
    const container = this.#containers.get(id);
    assert(container !== undefined, `no container ${id}`);
    return container;
  }

  #happened(action: ContainerAction, id: string, name: string): void {
    if (this.#down === null) this.#tell({ kind: "container", action, id, name });
  }

  #tell(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
