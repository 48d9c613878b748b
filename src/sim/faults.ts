import { Clones } from "./clones.ts";
import { SetBacks } from "./set-back.ts";
import type { Direction } from "./world/network.ts";
import type { Host, World } from "./world/world.ts";

/** What breaks, at random instants, as far as the seed's traits allow. */
export class Faults {
  readonly #world: World;
  readonly #untilMs: number;
  readonly clones: Clones;
  readonly #setBacks: SetBacks;

  constructor(world: World, untilMs: number) {
    this.#world = world;
    this.clones = new Clones(world);
    this.#setBacks = new SetBacks(world);
    this.#untilMs = untilMs;
  }

  begin(): void {
    const { context } = this.#world;
    const { traits } = context;
    this.#repeat(traits.agentFaultMs, () => this.#onHost((host) => this.#agentFault(host)));
    this.#repeat(traits.nodeFaultMs, () => this.#onHost((host) => this.#nodeFault(host)));
    this.#repeat(traits.controlFaultMs, () => this.#controlFault());
    this.#repeat(traits.networkFaultMs, () => this.#onHost((host) => this.#networkFault(host)));
    this.#repeat(traits.identityFaultMs, () => this.#onHost((host) => this.#identityFault(host)));
    this.#repeat(traits.storageHideMs, () => this.#hideVolumes());
    this.#repeat(traits.streamFaultMs, () => this.#onHost((host) => this.#streamFault(host)));
    this.#repeat(traits.poolFaultMs, () => this.#onHost((host) => this.#poolFault(host)));
    this.#repeat(traits.deviceFaultMs, () =>
      this.#onHost(({ machine }) => machine.kernel.resetBus(context.prng.between(100, 3_000))),
    );
    this.#repeat(traits.engineFaultMs, () => this.#onHost((host) => this.engineFault(host)));
  }

  #repeat(meanMs: number, act: () => void): void {
    if (!Number.isFinite(meanMs)) return;
    const { clock, prng } = this.#world.context;
    clock.after(prng.between(1, 2 * meanMs), () => {
      if (clock.nowMs >= this.#untilMs) return;
      act();
      this.#repeat(meanMs, act);
    });
  }

  #onHost(act: (host: Host) => void): void {
    const up = this.#world.hosts.filter(({ machine }) => machine.powered && !machine.stopped);
    const host = this.#world.context.prng.pick(up);
    if (host !== undefined) act(host);
  }

  #spanMs(): number {
    const { prng } = this.#world.context;
    return prng.chance(0.7) ? prng.between(1_000, 30_000) : prng.between(30_000, 200_000);
  }

  #identityFault(host: Host): void {
    const isClone = this.#world.context.prng.chance(0.6);
    (isClone ? this.clones : this.#setBacks).begin(host, this.#spanMs());
  }

  #hideVolumes(): void {
    const { storage, context } = this.#world;
    context.marks.hit("storage list lagged");
    for (const ref of storage.volumes.keys()) storage.hidden.add(ref);
    context.clock.after(this.#spanMs(), () => storage.hidden.clear());
  }

  #streamFault(host: Host): void {
    const { clock, prng, marks } = this.#world.context;
    const { network } = this.#world;
    if (prng.chance(0.6)) {
      for (const transfer of host.agent?.local.serving.transfers ?? []) transfer.cut();
      return;
    }
    marks.hit("peers parted");
    network.isolate(host.node, true);
    clock.after(this.#spanMs(), () => network.isolate(host.node, false));
  }

  /** The machine goes down, and its disk does not come back as it was. */
  #poolFault(host: Host): void {
    const { context, damaged } = this.#world;
    const { clock, prng, marks } = context;
    const { pool } = host.machine;
    const image = pool.image();
    const ids = pool.datasets();
    const kind = prng.between(1, 6);
    clock.after(prng.between(1_000, 30_000), () => {
      if (!host.machine.powered) return;
      this.#world.powerOff(host);
      if (kind > 2) {
        marks.hit("pool missing at boot");
        pool.missing = true;
        clock.after(this.#spanMs(), () => {
          pool.missing = pool.lost;
        });
      } else {
        for (const dataset of [...ids, ...pool.datasets()]) {
          damaged.add(dataset);
          context.tell({ kind: "loss_accepted", dataset, disk: true });
        }
        marks.hit(kind === 1 ? "pool set back" : "pool lost");
        if (kind === 1) image();
        else pool.lose();
      }
      clock.after(prng.between(3_000, 10_000), () => this.#world.powerOn(host));
    });
  }

  #agentFault(host: Host): void {
    const { clock, prng, marks } = this.#world.context;
    const { agent } = host;
    if (agent === null) return;
    if (prng.chance(0.6)) {
      this.#world.killAgent(host);
      const downMs = prng.chance(0.8) ? prng.between(100, 2_500) : this.#spanMs();
      clock.after(downMs, () => this.#world.startAgent(host));
      return;
    }
    marks.hit("agent paused");
    agent.strand.stop("signal");
    clock.after(this.#spanMs(), () => agent.strand.go("signal"));
  }

  #nodeFault(host: Host): void {
    const { clock, prng, marks } = this.#world.context;
    if (prng.chance(0.6)) {
      this.#world.powerOff(host);
      clock.after(prng.chance(0.7) ? prng.between(3_000, 20_000) : this.#spanMs(), () => {
        marks.hit("node rebooted");
        this.#world.powerOn(host);
      });
      return;
    }
    marks.hit("node paused");
    this.pause(host);
    clock.after(this.#spanMs(), () => this.resume(host));
  }

  pause(host: Host): void {
    host.machine.stop();
    host.engine.strand.stop("machine");
    host.agent?.strand.stop("machine");
  }

  resume(host: Host): void {
    host.machine.go();
    host.engine.strand.go("machine");
    host.agent?.strand.go("machine");
  }

  #controlFault(): void {
    const { clock, prng, marks, traits } = this.#world.context;
    const { control } = this.#world;
    if (control === null) return;
    if (prng.chance(0.3)) {
      marks.hit("control paused");
      control.strand.stop("signal");
      clock.after(this.#spanMs(), () => control.strand.go("signal"));
      return;
    }
    this.#world.killControl();
    if (traits.wallJumps && prng.chance(0.5)) {
      marks.hit("wall clock jumped");
      this.#world.wallOffsetMs += prng.between(-2, 2) * 365 * 86_400_000;
    }
    clock.after(prng.chance(0.8) ? prng.between(200, 3_000) : this.#spanMs(), () =>
      this.#world.startControl(),
    );
  }

  #networkFault(host: Host): void {
    const { clock, prng, marks } = this.#world.context;
    const { network, storage } = this.#world;
    const roll = prng.next();
    if (roll < 0.4) {
      marks.hit("connection dropped");
      for (const connection of network.of(host.node)) connection.closeAtAgent();
      return;
    }
    if (roll < 0.55) {
      storage.cutOff(host.node, true);
      clock.after(this.#spanMs(), () => storage.cutOff(host.node, false));
      return;
    }
    const directions: readonly Direction[] =
      roll < 0.75 ? ["toControl", "toAgent"] : [roll < 0.87 ? "toControl" : "toAgent"];
    if (directions.length === 1) marks.hit("connection partitioned one way");
    network.cut(host.node, directions);
    clock.after(this.#spanMs(), () => network.heal(host.node));
  }

  engineFault(host: Host): void {
    const { clock, prng } = this.#world.context;
    if (!host.engine.strand.alive) return;
    host.engine.kill();
    clock.after(prng.between(500, 20_000), () => {
      if (host.machine.powered) host.engine.start();
    });
  }

  /** Everything that can be whole again is. */
  heal(): void {
    const { storage, network, hosts, context } = this.#world;
    context.healed = true;
    storage.hidden.clear();
    this.#world.control?.strand.go("signal");
    this.#world.startControl();
    this.clones.end();
    this.#world.killTwin();
    for (const host of hosts) {
      storage.cutOff(host.node, false);
      network.heal(host.node);
      network.isolate(host.node, false);
      host.machine.pool.missing &&= host.machine.pool.lost;
      if (host.machine.stopped) this.resume(host);
      host.agent?.strand.go("signal");
      if (!host.machine.powered) this.#world.powerOn(host);
      else {
        this.#world.startAgent(host);
        host.engine.start();
      }
    }
  }
}
