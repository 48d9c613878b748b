import { join } from "node:path";
import process from "node:process";
import type { StepName } from "../../src/planner/steps.ts";
import type { Cluster } from "./cluster.ts";
import { Rest } from "./rest.ts";

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

/** The hosts of a cell: who has the data, and who is to have it. */
export type Ends = { readonly source: string; readonly target: string };

const directory = "/run/flocker-steps";

/** Hosts whose agents stand still before a step when told to, so that something can die there. */
export class SteppedHosts {
  readonly cluster: Cluster;
  readonly rest: Rest;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.rest = new Rest(cluster);
  }

  /** From now on each agent that the hosts start is a `stepped-agent.ts`. */
  static async of(cluster: Cluster): Promise<SteppedHosts> {
    const agent = join(import.meta.dirname, "stepped-agent.ts");
    const wrapper = `#!/bin/sh
[ "$1 $2" = "agent --agent-config" ] || exec /usr/local/lib/flocker/bin/flocker "$@"
exec ${process.execPath} ${agent} "$3" ${directory}
`;
    for (const { name } of cluster.bed.hosts()) {
      await cluster.exec(name, ["tee", "/usr/local/bin/stepped"], { input: wrapper });
      const install =
        "chmod 755 stepped && mv -f stepped flocker && sync flocker . && mkdir -p " + directory;
      await cluster.run(name, `cd /usr/local/bin && ${install}`);
      await cluster.bed.service("stop", name, "agent");
      await cluster.bed.service("start", name, "agent");
    }
    const stepped = new SteppedHosts(cluster);
    await stepped.connected();
    return stepped;
  }

  /** The host's agent stands still when it comes to the step, until `goOn`. */
  async standBefore(host: string, step: StepName): Promise<void> {
    const line = `mkdir -p ${directory} && cd ${directory} && rm -f reached`;
    await this.cluster.run(host, `${line} && echo before ${step} >new && mv new stop-at`);
  }

  async reached(host: string): Promise<boolean> {
    return (await this.cluster.exec(host, ["test", "-e", `${directory}/reached`])).status === 0;
  }

  async goOn(host: string): Promise<void> {
    if (this.cluster.bed.isUp(host)) await this.cluster.run(host, `rm -f ${directory}/stop-at`);
  }

  /** The victim dies while the agent of `standing` stands at its step; then that one goes on. */
  async kill(victim: Victim, { source, target }: Ends, standing: string): Promise<void> {
    const { cluster } = this;
    const host = victim === "control" ? "h1" : victim.startsWith("source") ? source : target;
    if (victim.endsWith("power")) {
      await cluster.bed.crash(host);
      await this.goOn(standing);
      await cluster.bed.boot(host);
      return;
    }
    const service = victim.endsWith("agent") ? "agent" : victim === "control" ? victim : "dockerd";
    await cluster.signal(host, service, "KILL");
    await this.goOn(standing);
  }

  async connected(): Promise<void> {
    await this.cluster.eventually("both nodes connected", 60_000, async () => {
      const nodes = await this.rest.nodeViews();
      return nodes.length === 2 && nodes.every(({ status }) => status === "connected");
    });
  }

  /** What a container on the host prints, started once; the engine may just have been killed. */
  async inContainer(host: string, volume: string, line: string): Promise<string> {
    const { cluster } = this;
    await cluster.eventually(`the engine of ${host}`, 60_000, () =>
      cluster.run(host, "docker info >/dev/null && echo yes"),
    );
    const run = "docker run --rm --volume-driver flocker";
    return cluster.run(host, `${run} -v ${volume}:/data flocker-demo:1 bash -c '${line}'`);
  }
}
