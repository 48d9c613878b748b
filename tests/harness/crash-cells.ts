import { join } from "node:path";
import process from "node:process";
import type { StepName } from "../../src/planner/steps.ts";
import type { Cluster } from "./cluster.ts";
import { Rest } from "./rest.ts";

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

export const victims = [
  "source agent",
  "target agent",
  "control",
  "source dockerd",
  "target dockerd",
  "source power",
  "target power",
] as const;
export type Victim = (typeof victims)[number];

export type Cell = {
  readonly end: "source" | "target";
  readonly step: StepName;
  readonly victim: Victim;
};

/** What came of a cell: one row of the table that the matrix prints. */
export type CellResult = Cell & {
  readonly seconds: number;
  /** Digests of the file before and after, and how many copies the record calls live. */
  readonly sums: readonly [before: string, after: string];
  readonly live: number;
};

const steps = "/run/flocker-steps";
const image = "flocker-demo:1";

/** One cluster, one volume that goes from host to host; in each cell something dies on the way. */
export class CrashCells {
  readonly #cluster: Cluster;
  readonly #rest: Rest;
  readonly #sum: string;
  readonly #id: string;
  #source = "h1";

  private constructor(cluster: Cluster, id: string, sum: string) {
    this.#cluster = cluster;
    this.#rest = new Rest(cluster);
    this.#id = id;
    this.#sum = sum;
  }

  /** Makes the volume, on h1. */
  static async begin(cluster: Cluster): Promise<CrashCells> {
    const write = "dd if=/dev/urandom of=/data/file bs=1M count=8 status=none; sync /data/file";
    await cluster.run("h1", inVolume(write));
    const sum = await cluster.run("h1", inVolume("sha256sum /data/file"));
    const { dataset_id: id } = await new Rest(cluster).view("moved");
    return new CrashCells(cluster, id, sum);
  }

  /** Moves the volume to the other host, lets the victim die at the step, and looks afterwards. */
  async run(cell: Cell): Promise<CellResult> {
    const startedAt = performance.now();
    const cluster = this.#cluster;
    const [source, target] = [this.#source, this.#source === "h1" ? "h2" : "h1"];
    const stepper = cell.end === "source" ? source : target;
    await this.#stopAt(stepper, cell.step);
    await this.#rest.move(this.#id, await this.#rest.node(target));
    await cluster.eventually(`${cell.step} on ${stepper}`, 60_000, async () =>
      (await cluster.run(stepper, `cat ${steps}/reached 2>/dev/null || true`)) === "" ? null : true,
    );
    await this.#kill(cell.victim, { source, target, stepper });
    await this.#goOn(stepper);

    // Whoever asks for it on the target gets it, whatever died; tried again as a person would.
    const after = await cluster.eventually(`the data on ${target}`, 180_000, async () => {
      const command = ["bash", "-c", inVolume("sha256sum /data/file")];
      const { status, stdout } = await cluster.exec(target, command, { deadlineMs: 125_000 });
      return status === 0 ? stdout.trim() : null;
    });
    this.#source = target;
    const { copies } = await this.#rest.view("moved");
    const live = copies.filter(({ role }) => role === "live").length;
    const seconds = (performance.now() - startedAt) / 1000;
    return { ...cell, seconds, sums: [this.#sum, after], live };
  }

  /** The host's agent from now on is one that stands still before this step. */
  async #stopAt(host: string, step: StepName): Promise<void> {
    await this.#cluster.bed.service("stop", host, "agent");
    const agent = join(import.meta.dirname, "stepped-agent.ts");
    const command = `${process.execPath} ${agent} /etc/flocker/agent.yml ${steps}`;
    await this.#cluster.run(
      host,
      `mkdir -p ${steps}; rm -f ${steps}/reached; echo before ${step} >${steps}/stop-at
       nohup ${command} >>/var/log/flocker/stepped.log 2>&1 & echo $! >${steps}/pid`,
    );
    await this.#connected();
  }

  async #kill(
    victim: Victim,
    at: { readonly source: string; readonly target: string; readonly stepper: string },
  ): Promise<void> {
    const { bed } = this.#cluster;
    if (victim === "control") return this.#cluster.signal("h1", "control", "KILL");
    const host = victim.startsWith("source") ? at.source : at.target;
    if (victim.endsWith("power")) {
      await bed.crash(host);
      return bed.boot(host);
    }
    const isStepped = victim.endsWith("agent") && host === at.stepper;
    if (isStepped) await this.#cluster.run(host, `kill -9 $(cat ${steps}/pid)`);
    else await this.#cluster.signal(host, victim.endsWith("agent") ? "agent" : "dockerd", "KILL");
  }

  /** Nothing stands still any more, and the host has the agent that everybody has. */
  async #goOn(host: string): Promise<void> {
    const over = `rm -f ${steps}/stop-at; p=$(cat ${steps}/pid 2>/dev/null) || exit 0
      kill -TERM $p 2>/dev/null; while kill -0 $p 2>/dev/null; do sleep 0.05; done; rm ${steps}/pid`;
    await this.#cluster.run(host, over);
    await this.#cluster.bed.service("start", host, "agent");
    await this.#connected();
  }

  async #connected(): Promise<void> {
    await this.#cluster.eventually("both nodes connected", 60_000, async () => {
      const nodes = await this.#rest.nodeViews();
      return nodes.length === 2 && nodes.every(({ status }) => status === "connected");
    });
  }
}

function inVolume(line: string): string {
  return `docker run --rm -v moved:/data --volume-driver flocker ${image} bash -c '${line}'`;
}

/** The table of what was tried, for people. */
export function tableOf(results: readonly CellResult[]): string {
  const rows = results.map(({ step, victim, seconds, live }) =>
    [step.padEnd(26), victim.padEnd(15), `${seconds.toFixed(1)} s`.padStart(8), live].join("  "),
  );
  return [["step".padEnd(26), "killed".padEnd(15), "    time", "live"].join("  "), ...rows].join(
    "\n",
  );
}
