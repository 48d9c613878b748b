import type { StepName } from "../../src/planner/steps.ts";
import { settleMsMax } from "./crash-cells.ts";
import { anyOnDisks, liveOnDisks, mounted } from "./disks.ts";
import { type Ends, type SteppedHosts, type Victim, victims } from "./stepped-hosts.ts";

/** One dataset on its way through one story. */
export type Scene = {
  readonly hosts: SteppedHosts;
  readonly ends: Ends;
  readonly name: string;
  /** Empty until it is made. */
  readonly id: string;
  /** What the file in it reads; empty while there is none. */
  readonly sum: string;
};

/** What leads to steps besides a move, and how the world must be once everybody goes on. */
export type Story = {
  readonly name: string;
  readonly ends: Ends;
  readonly victims: readonly Victim[];
  readonly steps: readonly (readonly [end: "source" | "target", step: StepName])[];
  /** Brings a dataset to where the steps come next. */
  readonly begin: (scene: Scene) => Promise<Scene>;
  /** What somebody asks for; an agent stands before the step by then. */
  readonly ask: (scene: Scene) => Promise<void>;
  /** Waits until all is well, with nobody asking for anything again; throws what is not. */
  readonly settled: (scene: Scene) => Promise<void>;
};

const ends: Ends = { source: "h1", target: "h2" };
const sizeBytes = 64 * 2 ** 20;
const alone: readonly Victim[] = ["target agent", "control", "target dockerd", "target power"];

async function create({ hosts, name }: Scene, host: string, pool: string): Promise<string> {
  const primary = await hosts.rest.node(host);
  const body = { primary, name, pool, size: sizeBytes };
  return (await hosts.rest.createDataset(body)).dataset_id;
}

/** By what the control service says of its name. */
async function known(scene: Scene): Promise<Scene> {
  const { cluster, rest } = scene.hosts;
  const view = await cluster.eventually(scene.name, settleMsMax, () => rest.view(scene.name));
  return { ...scene, id: view.dataset_id };
}

/** With a file in it, idle and still on the host that wrote it. */
async function filled(scene: Scene, host: string, pool: string): Promise<Scene> {
  const { hosts, name } = scene;
  const id = await create(scene, host, pool);
  const write = "dd if=/dev/urandom of=/data/file bs=1M count=2 status=none; sync /data/file";
  const sum = await hosts.inContainer(host, name, `${write}; sha256sum /data/file`);
  return { ...scene, id, sum };
}

/** The dataset is where it was ordered, by the record and by what the host has mounted. */
async function isOn({ hosts, name, id }: Scene, host: string): Promise<void> {
  const { cluster, rest } = hosts;
  await cluster.eventually(`${name} on ${host} without a hand`, settleMsMax, async () => {
    const { claim, path, move, op } = await rest.view(name);
    const here = claim?.node === (await rest.node(host)) && path !== null;
    return here && move === null && op === null;
  });
  await cluster.eventually(`${name} mounted on ${host} alone`, settleMsMax, async () => {
    const found = await mounted(cluster, id);
    return found.length > 0 && found.every((one) => one.host === host);
  });
}

async function isLiveOn(scene: Scene, host: string): Promise<void> {
  await isOn(scene, host);
  const { hosts, id, name } = scene;
  await hosts.cluster.eventually(`${name} live on ${host} alone`, settleMsMax, async () => {
    const { copies } = await hosts.rest.view(name);
    const live = await liveOnDisks(hosts.cluster, id);
    const settled = copies.filter((copy) => copy.role === "live" && copy.settled);
    return live.length === 1 && live[0]?.host === host && settled.length === 1;
  });
}

async function reads({ hosts, name, sum }: Scene, host: string): Promise<void> {
  const found = await hosts.inContainer(host, name, "sha256sum /data/file");
  if (found !== sum) throw new Error(`the data of ${name} is another: ${found}, not ${sum}`);
}

async function takes({ hosts, name }: Scene, host: string): Promise<void> {
  const line = "ls -A /data; echo 1 >/data/file; sync /data/file; cat /data/file";
  const found = await hosts.inContainer(host, name, line);
  if (found !== "1") throw new Error(`${name} is no new volume: ${found}`);
}

async function order({ hosts, id }: Scene, host: string): Promise<void> {
  await hosts.rest.move(id, await hosts.rest.node(host));
}

async function declareDead({ hosts }: Scene, host: string): Promise<void> {
  const node = await hosts.rest.node(host);
  await hosts.cluster.run("h1", `flockerctl node declare-dead ${node} --force --yes 2>&1`);
}

async function destroyed({ hosts, id, name }: Scene): Promise<void> {
  const { cluster, rest } = hosts;
  await cluster.eventually(`${name} destroyed without a hand`, settleMsMax, async () => {
    const found = (await rest.views()).find(({ dataset_id: one }) => one === id);
    return found === undefined || (found.volume.kind === "gone" && found.op === null);
  });
  await cluster.eventually(`${name} on no disk any more`, settleMsMax, async () => {
    return (await anyOnDisks(cluster, id)).length === 0;
  });
}

/** On the source, with a fallback on the target. */
async function withFallback(scene: Scene): Promise<Scene> {
  const made = await filled(scene, scene.ends.target, "default");
  await order(made, scene.ends.source);
  await isLiveOn(made, scene.ends.source);
  return made;
}

/** The story of a volume of a pool that is made on the target, with nothing before it. */
function making(
  what: string,
  pool: string,
  isThere: typeof isOn,
  steps: readonly StepName[],
): Story {
  return {
    name: `${what} is made`,
    ends,
    victims: alone,
    steps: steps.map((step) => ["target", step]),
    begin: async (scene) => scene,
    ask: async (scene) => void (await create(scene, scene.ends.target, pool)),
    settled: async (scene) => {
      await isThere(await known(scene), scene.ends.target);
      await takes(scene, scene.ends.target);
    },
  };
}

export const stories: readonly Story[] = [
  making("a local volume", "default", isLiveOn, [
    "create_live.create",
    "report.volume_created",
    "report.formatted",
    "show_live.bind",
    "show_live.show",
  ]),
  making("an attachable volume", "san", isOn, [
    "create_volume.create",
    "report.volume_created",
    "attach_volume.attach",
    "format_volume.format",
    "report.formatted",
    "mount_volume.mount",
    "show_volume.show",
  ]),
  {
    name: "an attachable volume moves",
    ends,
    victims,
    steps: [
      ["source", "hide_volume.hide"],
      ["source", "unmount_volume.unmount"],
      ["source", "detach_volume.hold"],
      ["source", "detach_volume.detach"],
      ["source", "detach_volume.let_go"],
      ["source", "report.released"],
      ["target", "attach_volume.attach"],
      ["target", "mount_volume.mount"],
      ["target", "show_volume.show"],
    ],
    begin: (scene) => filled(scene, scene.ends.source, "san"),
    ask: (scene) => order(scene, scene.ends.target),
    settled: async (scene) => {
      await isOn(scene, scene.ends.target);
      await reads(scene, scene.ends.target);
    },
  },
  {
    name: "a sealed volume is called back",
    ends,
    victims,
    steps: [["source", "reopen_sealed.reopen"]],
    begin: async (scene) => {
      const { hosts } = scene;
      const made = await filled(scene, scene.ends.source, "default");
      await hosts.standBefore(scene.ends.target, "receive_copy.confirm");
      await order(made, scene.ends.target);
      await hosts.cluster.eventually("what is sealed received", settleMsMax, () =>
        hosts.reached(scene.ends.target),
      );
      return made;
    },
    ask: (scene) => order(scene, scene.ends.source),
    settled: async (scene) => {
      await isLiveOn(scene, scene.ends.source);
      await reads(scene, scene.ends.source);
    },
  },
  {
    name: "a local volume with a fallback is destroyed",
    ends,
    victims,
    steps: [
      ["source", "destroy_copies.destroy"],
      ["source", "report.op_done"],
      ["target", "discard_copy.discard"],
      ["target", "report.discarded"],
    ],
    begin: withFallback,
    ask: ({ hosts, id }) => hosts.rest.purge(id),
    settled: destroyed,
  },
  {
    name: "an attachable volume is destroyed",
    ends,
    victims,
    steps: [
      ["source", "destroy_volume.destroy"],
      ["source", "report.op_done"],
    ],
    begin: (scene) => filled(scene, scene.ends.source, "san"),
    ask: ({ hosts, id }) => hosts.rest.purge(id),
    settled: destroyed,
  },
  {
    name: "the holder of an attachable volume is declared dead",
    ends: { source: "h2", target: "h1" },
    victims,
    steps: [
      ["source", "cut_access.cut"],
      ["source", "report.cut_done"],
      ["target", "force_detach.force"],
      ["target", "report.op_done"],
    ],
    begin: (scene) => filled(scene, scene.ends.source, "san"),
    ask: async (scene) => {
      await declareDead(scene, scene.ends.source);
      await order(scene, scene.ends.target);
    },
    settled: async (scene) => {
      await isOn(scene, scene.ends.target);
      await reads(scene, scene.ends.target);
    },
  },
  {
    name: "the node of a live copy is declared dead",
    ends: { source: "h2", target: "h1" },
    victims,
    steps: [
      ["source", "stop_access.stop"],
      ["source", "report.cut_done"],
      ["source", "diverge_live.diverge"],
    ],
    begin: withFallback,
    ask: (scene) => declareDead(scene, scene.ends.source),
    settled: async (scene) => {
      await isLiveOn(scene, scene.ends.target);
      await reads(scene, scene.ends.target);
    },
  },
  {
    name: "a rebooted host clears what its last boot attached",
    ends: { source: "h2", target: "h1" },
    victims,
    steps: [
      ["source", "detach_volume.detach"],
      ["source", "report.cleared"],
    ],
    begin: async (scene) => {
      const { hosts } = scene;
      const made = await filled(scene, scene.ends.source, "san");
      await hosts.cluster.bed.crash(scene.ends.source);
      await order(made, scene.ends.target);
      await hosts.cluster.bed.service("stop", "h1", "control");
      await hosts.cluster.bed.boot(scene.ends.source);
      return made;
    },
    ask: ({ hosts }) => hosts.cluster.bed.service("start", "h1", "control"),
    settled: async (scene) => {
      await isOn(scene, scene.ends.target);
      await reads(scene, scene.ends.target);
    },
  },
];
