import type { StepName } from "../../src/planner/steps.ts";
import type { DatasetView } from "../../src/protocol/api.ts";
import type { Cluster } from "./cluster.ts";
import { liveOnDisks, mounted, partialOnDisks } from "./disks.ts";
import { type Ends, SteppedHosts, type Victim } from "./stepped-hosts.ts";

export type Cell = {
  readonly end: "source" | "target";
  readonly step: StepName;
  readonly victim: Victim;
};

/** What came of a cell: one row of the table that the matrix prints. */
export type CellResult = Cell & { readonly seconds: number; readonly failure: string | null };

/** The steps of a local move at which something is killed, and the end that takes them. */
export const moveSteps: readonly (readonly [end: "source" | "target", step: StepName])[] = [
  ["source", "send.stream"],
  ["source", "send.midway"],
  ["target", "receive_copy.receive"],
  ["target", "receive_copy.midway"],
  ["target", "receive_copy.confirm"],
  ["target", "receive_copy.accept"],
  ["target", "report.copied"],
  ["source", "hide_live.unbind"],
  ["source", "seal_live.prove"],
  ["source", "seal_live.seal"],
  ["source", "report.sealed"],
  ["source", "send.confirm"],
  ["target", "report.received"],
  ["target", "promote_received.promote"],
  ["target", "report.settled"],
  ["target", "show_live.stamp"],
];

/** All that a cell may take from the death on, with nobody asking for anything again. */
export const settleMsMax = 60_000;
const reachMsMax = 30_000;
/** What the deadlines of a cell add up to: it fails by one of them, never by that of its test. */
export const cellMsMax = 400_000;

/** One cluster, one volume that goes from host to host; in each cell something dies on the way. */
export class MoveCells {
  readonly #hosts: SteppedHosts;
  #volume = "";
  #id = "";
  #sum = "";
  #source = "h1";
  #count = 0;

  private constructor(hosts: SteppedHosts) {
    this.#hosts = hosts;
  }

  static async begin(cluster: Cluster): Promise<MoveCells> {
    const cells = new MoveCells(await SteppedHosts.of(cluster));
    await cells.#fresh();
    return cells;
  }

  async #fresh(): Promise<void> {
    this.#count += 1;
    this.#volume = `moved-${this.#count}`;
    this.#source = "h1";
    const write = "dd if=/dev/urandom of=/data/file bs=1M count=8 status=none; sync /data/file";
    const line = `${write}; sha256sum /data/file`;
    this.#sum = await this.#hosts.inContainer("h1", this.#volume, line);
    this.#id = (await this.#hosts.rest.view(this.#volume)).dataset_id;
  }

  /**
   * Orders the volume to the other host, lets the victim die at the step, and looks afterwards.
   * After a cell that failed the next one begins with a new volume.
   */
  async run(cell: Cell): Promise<CellResult> {
    const ends: Ends = { source: this.#source, target: this.#source === "h1" ? "h2" : "h1" };
    const begunMs = performance.now();
    let failure: string | null = null;
    try {
      const { rest } = this.#hosts;
      await dieAt(this.#hosts, cell, ends, async () => {
        await rest.move(this.#id, await rest.node(ends.target));
      });
      await this.#settled(ends);
      this.#source = ends.target;
    } catch (error) {
      failure = await failureOf(this.#hosts, cell, this.#volume, error);
      for (const host of Object.values(ends)) await this.#hosts.goOn(host);
      await this.#hosts.connected();
      await this.#fresh();
    }
    return { ...cell, seconds: (performance.now() - begunMs) / 1000, failure };
  }

  /** The move is done, first by the record, then on the disks, then for a container. */
  async #settled({ target }: Ends): Promise<void> {
    const { cluster, rest } = this.#hosts;
    const node = await cluster.eventually("the node", settleMsMax, () => rest.node(target));
    await cluster.eventually(`the move to ${target} done without a hand`, settleMsMax, async () =>
      isDone(await rest.view(this.#volume), node),
    );
    const live = await liveOnDisks(cluster, this.#id);
    if (live.length !== 1 || live[0]?.host !== target) {
      throw new Error(`live on disks: ${JSON.stringify(live)}, not once on ${target}`);
    }
    const shown = await mounted(cluster, this.#id);
    if (shown.some(({ host }) => host !== target)) {
      throw new Error(`mounted elsewhere than on ${target}: ${JSON.stringify(shown)}`);
    }
    const sum = await this.#hosts.inContainer(target, this.#volume, "sha256sum /data/file");
    if (sum !== this.#sum) throw new Error(`the data is another: ${sum}, not ${this.#sum}`);
    await cluster.eventually(
      "what was received in part is removed",
      settleMsMax,
      async () => (await partialOnDisks(cluster, this.#id)).length === 0,
    );
  }
}

/** Somebody dies while an agent stands before the step that `ask` leads to. */
export async function dieAt(
  hosts: SteppedHosts,
  { end, step, victim }: Cell,
  ends: Ends,
  ask: () => Promise<void>,
): Promise<void> {
  const standing = ends[end];
  await hosts.standBefore(standing, step);
  await ask();
  await hosts.cluster.eventually(`${step} on ${standing}`, reachMsMax, () =>
    hosts.reached(standing),
  );
  await hosts.kill(victim, ends, standing);
}

/** What a person needs to look into a cell that failed. */
export async function failureOf(
  hosts: SteppedHosts,
  { step, victim }: Cell,
  volume: string,
  error: unknown,
): Promise<string> {
  const view = await hosts.rest.view(volume).catch(String);
  const logs = await hosts.cluster.logs(40).catch(String);
  return `${step}, ${victim}: ${textOf(error)}\n${JSON.stringify(view)}\n${logs}`;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${textOf(error.cause)}`;
}

/** Durable on the node and shown there; nothing is left to be done. */
function isDone({ move, copies, claim, path }: DatasetView, node: string): boolean {
  const live = copies.filter(({ role }) => role === "live");
  return (
    move === null &&
    live.length === 1 &&
    live.every((copy) => copy.node === node && copy.settled) &&
    claim?.node === node &&
    path !== null
  );
}

/** The table of what was tried, for people. */
export function tableOf(results: readonly CellResult[]): string {
  const head = ["step".padEnd(26), "killed".padEnd(15), "    time"].join("  ");
  const rows = results.map(({ step, victim, seconds, failure }) => {
    const time = `${seconds.toFixed(1)} s`.padStart(8);
    return [step.padEnd(26), victim.padEnd(15), time, failure === null ? "" : "FAILED"].join("  ");
  });
  return [head, ...rows].map((row) => row.trimEnd()).join("\n");
}
