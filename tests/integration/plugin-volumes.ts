import type {
  PluginAnswer,
  PluginCall,
  PluginVolume,
  VolumePlugin,
} from "../../src/agent/core/plugin-call.ts";
import { pluginErrors } from "../../src/agent/core/plugin-call.ts";
import { unreachable } from "../../src/lib/assert.ts";

type Volume = { readonly name: string; readonly users: Set<string>; shown: Promise<void> };

/** Whoever can run a command as root where the engine runs. */
export type RunInHost = (...command: string[]) => Promise<unknown>;

type Rule = (call: PluginCall, signal: AbortSignal) => Promise<PluginAnswer> | null;

/**
 * The smallest honest plugin: a volume is a directory, shown by a bind mount as long as somebody
 * uses it. Records every call, and does for some of them what a test wants instead.
 */
export class DirectoryPlugin implements VolumePlugin {
  readonly #run: RunInHost;
  readonly #volumes = new Map<string, Volume>();
  readonly calls: PluginCall[] = [];
  rule: Rule = () => null;

  constructor(run: RunInHost) {
    this.#run = run;
  }

  /** A volume that came from elsewhere: no engine has asked for it yet. */
  async add(name: string): Promise<void> {
    await this.#run("mkdir", "-p", `/srv/volumes/${name}`);
    this.#volumes.set(name, { name, users: new Set(), shown: Promise.resolve() });
  }

  usersOf(name: string): readonly string[] {
    return [...(this.#volumes.get(name)?.users ?? [])];
  }

  /** The calls so far, for one volume or for all, as words; forgets them. */
  takeCalls(name?: string): readonly string[] {
    const words = this.calls
      .filter((call) => name === undefined || !("name" in call) || call.name === name)
      .map(({ kind }) => kind);
    this.calls.length = 0;
    return words;
  }

  call(call: PluginCall, signal: AbortSignal): Promise<PluginAnswer> {
    this.calls.push(call);
    return this.rule(call, signal) ?? this.#answer(call);
  }

  async #answer(call: PluginCall): Promise<PluginAnswer> {
    if (call.kind === "list") {
      return { kind: "volumes", volumes: [...this.#volumes.values()].map(described) };
    }
    if (call.kind === "create") {
      if (!this.#volumes.has(call.name)) await this.add(call.name);
      return { kind: "ok" };
    }
    const volume = this.#volumes.get(call.name);
    if (volume === undefined) return { kind: "error", message: pluginErrors.notFound };
    switch (call.kind) {
      case "get":
        return { kind: "volume", volume: described(volume) };
      case "path":
        return { kind: "mountpoint", mountpoint: pathOf(volume.name) };
      case "mount":
        await this.#mount(volume, call.id);
        return { kind: "mountpoint", mountpoint: pathOf(volume.name) };
      case "unmount":
        await this.#unmount(volume, call.id);
        return { kind: "ok" };
      case "remove":
        this.#volumes.delete(volume.name);
        return { kind: "ok" };
      default:
        return unreachable(call);
    }
  }

  async #mount(volume: Volume, id: string): Promise<void> {
    const first = volume.users.size === 0;
    volume.users.add(id);
    if (first) volume.shown = this.#show(volume);
    await volume.shown;
  }

  async #unmount(volume: Volume, id: string): Promise<void> {
    if (!volume.users.delete(id) || volume.users.size > 0) return;
    volume.shown = this.#hide(volume);
    await volume.shown;
  }

  /** After what goes on with the volume: a restart asks for it again at once. */
  async #show({ name, shown }: Volume): Promise<void> {
    await shown;
    await this.#run("mkdir", "-p", pathOf(name));
    await this.#run("mount", "--bind", `/srv/volumes/${name}`, pathOf(name));
  }

  async #hide({ name, shown }: Volume): Promise<void> {
    await shown;
    await this.#run("umount", pathOf(name));
  }
}

function pathOf(name: string): string {
  return `/flocker/${name}`;
}

function described({ name, users }: Volume): PluginVolume {
  const mountpoint = users.size === 0 ? "" : pathOf(name);
  const status = { phase: "attached", size: 104_857_600 };
  return { name, mountpoint, createdAtMs: Date.UTC(2026, 0, 2), status };
}
