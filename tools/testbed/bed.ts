import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type BedPaths, bedPaths, hostPaths } from "./bed-paths.ts";
import { type DefaultPool, makeAuthority, seedHost } from "./certificates.ts";
import { cgroupDirectories, freeze, isFrozen, members, removeCgroups } from "./linux/cgroups.ts";
import { engineReady, importImage } from "./engine.ts";
import { ask, hostNamed, hostsOf, initOf, powerOn, runningInitOf } from "./host.ts";
import type { HostRecord } from "./host-record.ts";
import { readJson, writeJson } from "./linux/json-file.ts";
import { isListening } from "./linux/listening.ts";
import { lock } from "./linux/lock.ts";
import {
  detachLoop,
  listLoops,
  loopNodes,
  loopsBelow,
  mountsOf,
  removeLoopNodes,
} from "./linux/loop-devices.ts";
import { atRest, crash, powerOff } from "./power.ts";
import {
  type ProcessIdentity,
  identify,
  identifySelf,
  isAlive,
  killAll,
  processesMarked,
} from "./linux/process-identity.ts";
import { run } from "./run.ts";
import { type EngineKind, engineKindOf, pluginSocket, servicesFor } from "./services.ts";
import { killMarked, marker } from "./linux/spawn-marked.ts";
import { heal, partition, startSwitch } from "./switch.ts";
import { until } from "./linux/until.ts";

export type BedOptions = {
  /** Keeps beds of one checkout apart: `demo`, or the name of a test file. */
  readonly purpose: string;
  readonly checkout?: string;
  /** Hosts with an engine, but with nothing of ours. */
  readonly bare?: boolean;
  /** No Docker Engine, for tests that need none. */
  readonly engine?: boolean;
  /** Hosts whose engine runs without `--live-restore`. */
  readonly withoutLiveRestore?: readonly string[];
  /** What the pool `default` is: files in the shared directory, or the hosts' own disks. */
  readonly defaultPool?: DefaultPool;
};

/**
 * Several hosts on this machine: namespaces with a disk, a network and a Docker Engine of their
 * own. One lock makes the verbs that change hosts wait for each other.
 */
export class Bed {
  readonly paths: BedPaths;
  readonly #bare: boolean;
  readonly #engine: boolean;
  readonly #withoutLiveRestore: readonly string[];
  readonly #defaultPool: DefaultPool;

  constructor(options: BedOptions) {
    const { purpose, checkout, bare = false, engine = true, withoutLiveRestore = [] } = options;
    this.paths = bedPaths(checkout ?? join(import.meta.dirname, "../.."), purpose);
    this.#bare = bare;
    this.#engine = engine;
    this.#withoutLiveRestore = withoutLiveRestore;
    this.#defaultPool = options.defaultPool ?? "loopback";
  }

  /**
   * Starts hosts h1 to h`count`, after removing what an earlier run left. They belong to this
   * process until `keep`: when it dies, the next `up` removes them.
   */
  async up(count: number): Promise<void> {
    const { paths } = this;
    {
      using _lock = lock(paths.lock);
      await this.#removeStale();
      mkdirSync(paths.root, { recursive: true, mode: 0o700 });
      writeJson(paths.owner, identifySelf());
      writeJson(paths.loopNodes, loopNodes());
      await startSwitch(paths);
      if (!this.#bare) await makeAuthority(paths);
    }
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    await all(numbers.map((number) => this.#add(number)));
  }

  async #add(number: number): Promise<void> {
    const name = `h${number}`;
    const what = { bedId: this.paths.id, bare: this.#bare, engine: this.#engineOf(name) };
    const services = servicesFor(name, { ...what, control: number === 1 });
    const machineId = randomBytes(16).toString("hex");
    const host: HostRecord = { name, number, machineId, services, bare: this.#bare };
    mkdirSync(hostPaths(this.paths, name).directory, { recursive: true });
    if (!host.bare) await seedHost(this.paths, host, this.#defaultPool);
    writeJson(hostPaths(this.paths, name).record, host);
    await this.#start(host);
  }

  #engineOf(host: string): EngineKind {
    if (!this.#engine) return "none";
    return this.#withoutLiveRestore.includes(host) ? "plain" : "live_restore";
  }

  async #start(host: HostRecord): Promise<void> {
    await powerOn(this.paths, host);
    await ask(this.paths, host.name, { verb: "start" });
    if (!host.services.some(({ name }) => name === "dockerd")) return;
    await engineReady(this.paths, host.name);
    await importImage(this.paths, host.name);
  }

  /** Whether another living process has this bed up for itself. */
  busyWith(): ProcessIdentity | null {
    const owner = readJson<ProcessIdentity>(this.paths.owner);
    return owner !== null && isAlive(owner) && owner.pid !== identifySelf().pid ? owner : null;
  }

  /** The hosts outlive this process; `down` removes them. */
  keep(): void {
    rmSync(this.paths.owner, { force: true });
  }

  hosts(): readonly HostRecord[] {
    return hostsOf(this.paths);
  }

  /** The first process of a host, as this machine numbers it; null when the host is off. */
  initOf(host: string): ProcessIdentity | null {
    return initOf(this.paths, host);
  }

  isUp(host: string): boolean {
    return this.initOf(host) !== null;
  }

  /** Power loss: what was not synced is gone. The host stays off until `boot`. */
  async crash(host: string): Promise<void> {
    using _lock = lock(this.paths.lock);
    await crash(this.paths, host);
  }

  /** Power back on, with the disk that it had. */
  async boot(host: string): Promise<void> {
    using _lock = lock(this.paths.lock);
    const record = hostNamed(this.paths, host);
    if (this.isUp(host)) throw new Error(`${host} is up; ./demo crash ${host} first`);
    await powerOff(this.paths, host); // Its init may have been killed by other hands.
    await this.#start(record);
  }

  async pause(host: string): Promise<void> {
    runningInitOf(this.paths, host);
    await freeze(this.paths.id, host, true);
  }

  async resume(host: string): Promise<void> {
    if (!this.isUp(host)) throw new Error(`${host} is powered off; ./demo boot ${host}`);
    await freeze(this.paths.id, host, false);
  }

  isPaused(host: string): boolean {
    return isFrozen(this.paths.id, host);
  }

  /**
   * Copies a running host, disk and certificates, as a careless administrator copies a virtual
   * machine; only the machine's own id, name and address differ. Returns the clone's name.
   */
  async clone(host: string): Promise<string> {
    using _lock = lock(this.paths.lock);
    const source = hostNamed(this.paths, host);
    const number = Math.max(...this.hosts().map((one) => one.number)) + 1;
    const name = `h${number}`;
    const paths = hostPaths(this.paths, name);
    rmSync(paths.directory, { recursive: true, force: true });
    mkdirSync(paths.directory, { recursive: true });
    const { disk } = hostPaths(this.paths, host);
    await atRest(this.paths, host, () => run("cp", "--sparse=always", disk, paths.disk));
    const bare = source.bare;
    const services = servicesFor(name, {
      bedId: this.paths.id,
      bare,
      engine: engineKindOf(source.services),
      control: source.services.some((service) => service.name === "control"),
    });
    const machineId = randomBytes(16).toString("hex");
    const record: HostRecord = { name, number, machineId, services, bare };
    writeJson(paths.record, record);
    await this.#start(record);
    return name;
  }

  /** Cuts the network between two hosts, or only the way from `a` to `b`. */
  async partition(a: string, b: string, oneWay = false): Promise<void> {
    for (const host of [a, b]) hostNamed(this.paths, host);
    await partition(this.paths, { from: a, to: b, oneWay });
    if (!oneWay) await partition(this.paths, { from: b, to: a, oneWay });
  }

  async heal(a: string, b: string): Promise<void> {
    await heal(this.paths, a, b);
    await heal(this.paths, b, a);
  }

  /** Starts or stops a service of a host: `control`, `agent` or `dockerd`. */
  async service(verb: "start" | "stop", host: string, service: string): Promise<void> {
    const reply = await ask(this.paths, host, { verb, service });
    if (reply.kind === "refused") throw new Error(`${host}: ${reply.message}`);
    if (verb === "start") {
      await until(`${service} on ${host}`, 60_000, async () => {
        const status = await ask(this.paths, host, { verb: "status" });
        return status.kind === "done" && status.pids[service] !== null;
      });
      await this.#serving(host, service);
    }
  }

  /** What is typed next finds the service: `start` does not end before others can reach it. */
  async #serving(host: string, service: string): Promise<void> {
    if (service === "dockerd") return engineReady(this.paths, host);
    const door = service === "control" ? 4523 : pluginSocket;
    const { pid } = runningInitOf(this.paths, host);
    await until(`${service} on ${host} serves; its log is in /var/log/flocker`, 60_000, () =>
      isListening(pid, door),
    );
  }

  /** Removes the hosts and everything that they left, and proves it: what remains is thrown. */
  async down(): Promise<void> {
    using _lock = lock(this.paths.lock);
    await this.#remove();
  }

  async #removeStale(): Promise<void> {
    const owner = this.busyWith();
    if (owner !== null) {
      throw new Error(`these hosts are in use by process ${owner.pid}; end it first`);
    }
    await this.#remove();
  }

  async #remove(): Promise<void> {
    const { paths } = this;
    await killHosts(paths);
    const ours = async (): Promise<boolean> => {
      const left = loopsBelow(paths.root, await listLoops());
      for (const { name } of left) await detachLoop(name);
      return left.length === 0;
    };
    await until("loop devices detached", 20_000, ours);
    await removeLoopNodes(readJson<readonly string[]>(paths.loopNodes) ?? loopNodes());
    await until("cgroups removed", 10_000, () => {
      removeCgroups(paths.id);
      return cgroupDirectories(paths.id).length === 0;
    });
    rmSync(paths.root, { recursive: true, force: true });
    const left = await this.#leftovers();
    if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
  }

  /** What of this bed still exists on this machine; nothing, when all is well. */
  async #leftovers(): Promise<readonly string[]> {
    const { id, root } = this.paths;
    return [
      ...processesMarked(marker, id).map(({ pid }) => `process ${pid}`),
      ...loopsBelow(root, await listLoops()).map(({ name }) => name),
      ...mountsOf("self")
        .filter(({ path }) => path.startsWith(root))
        .map(({ path }) => path),
      ...cgroupDirectories(id),
      ...(existsSync(root) ? [root] : []),
    ];
  }

  /** Copies a file of this machine into a host. */
  copyInto(host: string, from: string, to: string): void {
    copyFileSync(from, `/proc/${runningInitOf(this.paths, host).pid}/root${to}`);
  }
}

/** Ends all processes of the bed, those of half-made hosts and of commands in hosts included. */
async function killHosts(paths: BedPaths): Promise<void> {
  const names = existsSync(paths.root) ? readdirSync(paths.root) : [];
  for (const name of names.filter((entry) => /^h\d+$/.test(entry))) {
    // A paused process of cgroup v1 cannot be killed.
    await freeze(paths.id, name, false).catch(() => {});
  }
  await killMarked(paths.id);
  for (const name of names) {
    const left = members(paths.id, name).map((pid) => identify(pid));
    await killAll(left.filter((process) => process !== null));
  }
}

/**
 * Waits for all, also when one fails: nothing is to go on behind the back of the one who cleans up.
 */
async function all(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).filter((one) => one.status === "rejected");
  if (failed[0] !== undefined) throw failed[0].reason;
}
