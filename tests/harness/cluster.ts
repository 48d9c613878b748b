import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll } from "vitest";
import { buildBundles } from "../../tools/build.ts";
import { Bed } from "../../tools/testbed/bed.ts";
import { type ExecInHost, type Outcome, execIn, fileIn } from "../../tools/testbed/host.ts";
import { buildImage } from "../../tools/testbed/image.ts";
import { until } from "../../tools/testbed/linux/until.ts";

export type ClusterOptions = {
  /** The name of the test file; beds of different names are apart. */
  readonly purpose: string;
  readonly hosts?: number;
  /** Hosts with a Docker Engine, but with nothing of ours. */
  readonly bare?: boolean;
  readonly defaultPool?: "loopback" | "btrfs";
  /** Hosts whose engine runs without `--live-restore`. */
  readonly withoutLiveRestore?: readonly string[];
};

/** Hosts for one test file, with what a test does to them. */
export class Cluster implements AsyncDisposable {
  readonly bed: Bed;
  readonly #hosts: number;
  readonly #bare: boolean;

  constructor({ hosts = 2, bare = false, ...options }: ClusterOptions) {
    this.bed = new Bed({ ...options, bare });
    this.#hosts = hosts;
    this.#bare = bare;
  }

  /** Resolves when the engines answer and, unless bare, the control service knows every node. */
  async up(): Promise<void> {
    if (!this.#bare) await buildBundles();
    await buildImage(this.bed.paths);
    await this.bed.up(this.#hosts);
    if (!this.#bare) await this.nodesConnected();
  }

  /** Removes the hosts; throws when anything of them is left. */
  async down(): Promise<void> {
    await this.bed.down();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  /** Runs a command in a host; resolves with what came of it, whatever its status. */
  exec(host: string, command: readonly string[], how: ExecInHost = {}): Promise<Outcome> {
    return execIn(this.bed.paths, host, command, how);
  }

  /** Runs a line of shell in a host and resolves with its trimmed output; another status throws. */
  async run(host: string, line: string, how: ExecInHost = {}): Promise<string> {
    const { status, stdout, stderr } = await this.exec(host, ["bash", "-c", line], how);
    if (status !== 0) throw new Error(`${host}: ${line}: status ${status}\n${stderr}`);
    return stdout.trim();
  }

  /** A request to the REST API with the user's certificate, from inside a host. */
  async api(host: string, method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const { status, stdout, stderr } = await this.exec(
      host,
      [
        "curl",
        "-s",
        "-m",
        "30",
        "-X",
        method,
        "-w",
        "\n%{http_code}",
        "--cacert",
        "/etc/flocker/cluster.crt",
        "--cert",
        "/etc/flocker/user.crt",
        "--key",
        "/etc/flocker/user.key",
        ...(body === undefined ? [] : ["-H", "Content-Type: application/json", "-d", "@-"]),
        `https://control-service:4523${path}`,
      ],
      body === undefined ? {} : { input: JSON.stringify(body) },
    );
    if (status !== 0) throw new Error(`${host}: ${method} ${path}: curl ${status}: ${stderr}`);
    const end = stdout.lastIndexOf("\n");
    const text = stdout.slice(0, end);
    const parsed: unknown = text === "" ? null : JSON.parse(text);
    return { status: Number(stdout.slice(end + 1)), body: parsed };
  }

  /** Resolves when the control service shows as many nodes as there are hosts with an agent. */
  async nodesConnected(): Promise<void> {
    const expected = this.bed.hosts().filter(({ bare }) => !bare).length;
    await this.eventually("all agents connected", 60_000, async () => {
      const { body } = await this.api("h1", "GET", "/v1/state/nodes");
      return Array.isArray(body) && body.length >= expected;
    });
  }

  /** The process of a service, as its host numbers it. */
  pidOf(host: string, service: "control" | "agent" | "dockerd"): number {
    const path = service === "dockerd" ? "/run/docker.pid" : `/run/flocker/${service}.pid`;
    return Number(readFileSync(fileIn(this.bed.paths, host, path), "utf8"));
  }

  /** Sends a signal to a service, which the host starts again if it dies of it. */
  async signal(
    host: string,
    service: "control" | "agent" | "dockerd",
    name: "KILL" | "STOP" | "CONT" | "TERM",
  ): Promise<void> {
    await this.run(host, `kill -${name} ${this.pidOf(host, service)}`);
  }

  /** Asks `probe` until it answers truly; throws with its last error after the deadline. */
  eventually<T>(
    what: string,
    deadlineMs: number,
    probe: () => T | Promise<T>,
  ): Promise<NonNullable<T>> {
    return until(what, deadlineMs, probe);
  }

  /** What the services of all running hosts logged last. */
  async logs(lines = 60): Promise<string> {
    const parts: string[] = [];
    for (const { name } of this.bed.hosts().filter((host) => this.bed.isUp(host.name))) {
      if (this.bed.isPaused(name)) continue;
      const line = `tail -n ${lines} /var/log/flocker/*.log 2>/dev/null
        grep -v level=info /var/log/dockerd.log | tail -n ${lines}`;
      parts.push(`--- ${name}\n${await this.run(name, line)}`);
    }
    return parts.join("\n");
  }
}

export type ApiAnswer = { readonly status: number; readonly body: unknown };

/**
 * A cluster for all tests of the file that calls this: it is up before the first, removed after the
 * last, and shows its logs after a test that failed.
 */
export function useCluster(options: ClusterOptions): Cluster {
  const cluster = new Cluster(options);
  beforeAll(() => cluster.up(), 300_000);
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.error(await cluster.logs());
  });
  afterAll(async () => {
    // Those of another run of this file, for which `up` was refused, are not ours to remove.
    if (cluster.bed.busyWith() === null) await cluster.down();
  }, 120_000);
  return cluster;
}
