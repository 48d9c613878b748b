import { setTimeout as wait } from "node:timers/promises";
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
export type CellResult = Cell & Moved;
export type Moved = { readonly seconds: number; readonly failure: string | null };

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

/** The other steps of a move, which the whole table has too. */
export const moreMoveSteps: typeof moveSteps = [
  ["source", "send.estimate"],
  ["source", "send.sum"],
  ["source", "hide_live.hide"],
  ["source", "hide_live.sync"],
  ["target", "show_live.bind"],
  ["target", "show_live.show"],
  ["target", "discard_partial.discard"],
  ["source", "discard_partial.discard"],
];

/** All that a cell may take from the death on, with nobody asking for anything again. */
export const settleMsMax = 60_000;
const reachMsMax = 30_000;
/** What the deadlines of a cell add up to: it fails by one of them, never by that of its test. */
export const cellMsMax = 400_000;

/** One cluster, one volume that goes from host to host; each time something dies on the way. */
export class MoveCells {
  readonly #hosts: SteppedHosts;
  readonly #mebi: number;
  #volume = "";
  #id = "";
  #sum = "";
  #source = "h1";
  #count = 0;

  private constructor(hosts: SteppedHosts, mebi: number) {
    this.#hosts = hosts;
    this.#mebi = mebi;
  }

  static async begin(cluster: Cluster, mebi = 8): Promise<MoveCells> {
    const cells = new MoveCells(await SteppedHosts.of(cluster), mebi);
    await cells.#fresh();
    return cells;
  }

  async #fresh(): Promise<void> {
    this.#count += 1;
    this.#volume = `moved-${this.#count}`;
    this.#source = "h1";
    const write = `dd if=/dev/urandom of=/data/file bs=1M count=${this.#mebi} status=none`;
    const line = `${write}; sync /data/file; sha256sum /data/file`;
    this.#sum = await this.#hosts.inContainer("h1", this.#volume, line);
    this.#id = (await this.#hosts.rest.view(this.#volume)).dataset_id;
  }

  /** Orders the volume to the other host, lets the victim die at the step, and looks afterwards. */
  async run(cell: Cell): Promise<CellResult> {
    const label = `${cell.step}, ${cell.victim}`;
    const { seconds, failure } = await this.#move(label, (ends) =>
      dieAt(this.#hosts, cell, ends, () => this.#order(ends)),
    );
    return { ...cell, seconds, failure };
  }

  /** The same with a victim that dies a while after the order, whatever is being done then. */
  async runFor(victim: Victim, ms: number): Promise<Moved> {
    return this.#move(`${ms} ms after the order, ${victim}`, async (ends) => {
      await this.#order(ends);
      await wait(ms);
      await this.#hosts.kill(victim, ends, ends.source);
    });
  }

  async #order({ target }: Ends): Promise<void> {
    const { rest } = this.#hosts;
    await rest.move(this.#id, await rest.node(target));
  }

  /** What comes after a move that failed begins with a new volume. */
  async #move(label: string, die: (ends: Ends) => Promise<void>): Promise<Moved> {
    const ends: Ends = { source: this.#source, target: this.#source === "h1" ? "h2" : "h1" };
    const begunMs = performance.now();
    let failure: string | null = null;
    try {
      await die(ends);
      await this.#settled(ends);
      this.#source = ends.target;
    } catch (error) {
      failure = await failureOf(this.#hosts, label, this.#volume, error);
      for (const host of Object.values(ends)) await this.#hosts.goOn(host);
      await this.#hosts.connected();
      await this.#fresh();
    }
    return { seconds: (performance.now() - begunMs) / 1000, failure };
  }

  /** What is read next is not what any older copy has. */
  async change(): Promise<void> {
    const at = Math.trunc(this.#mebi / 2);
    const dd = `dd if=/dev/urandom of=/data/file bs=1M count=1 seek=${at} conv=notrunc status=none`;
    const line = `${dd}; sync /data/file; sha256sum /data/file`;
    this.#sum = await this.#hosts.inContainer(this.#source, this.#volume, line);
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
  label: string,
  volume: string,
  error: unknown,
): Promise<string> {
  const view = await hosts.rest.view(volume).catch(String);
  const logs = await hosts.cluster.logs(40).catch(String);
  return `${label}: ${textOf(error)}\n${JSON.stringify(view)}\n${logs}`;
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
