import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { searchPath } from "../setup.ts";
import { type BedPaths, addressOf, hostPaths } from "./bed-paths.ts";
import { isFrozen, membersFile } from "./linux/cgroups.ts";
import type { HostRecord, InitOrders } from "./host-record.ts";
import { readJson, writeJson } from "./linux/json-file.ts";
import { type ProcessIdentity, isAlive } from "./linux/process-identity.ts";
import { type ServiceReply, type ServiceRequest, supervisorSocket } from "./service.ts";
import { spawnMarked } from "./linux/spawn-marked.ts";
import { makeDisk, plugIn, switchOf } from "./switch.ts";
import { until } from "./linux/until.ts";

const diskSize = "40G"; // Sparse.

/** Powers a host on: its first boot when it has no disk yet. Its services are not started yet. */
export async function powerOn(bed: BedPaths, host: HostRecord): Promise<void> {
  const paths = hostPaths(bed, host.name);
  mkdirSync(paths.directory, { recursive: true });
  if (!existsSync(paths.disk)) await makeDisk(paths.disk, diskSize);
  const orders: InitOrders = {
    host,
    bedRoot: bed.root,
    checkout: bed.checkout,
    directory: paths.directory,
    diskImage: paths.disk,
    seed: paths.seed,
    sanMount: bed.sanMount,
    initRecord: paths.init,
    cgroupMembers: membersFile(bed.id, host.name),
  };
  writeJson(`${paths.directory}/orders.json`, orders);
  // In the switch's mounts, because there the SAN is; the new namespace gets its own copy of them.
  const first = spawnMarked(bed.id, paths.log, "nsenter", [
    "-t",
    String(switchOf(bed).pid),
    "-m",
    "-r",
    "--",
    "unshare",
    "--mount",
    "--uts",
    "--ipc",
    "--net",
    "--pid",
    "--fork",
    "--propagation",
    "unchanged",
    "--",
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "host-init.ts"),
    `${paths.directory}/orders.json`,
  ]);
  const init = await until(`the first process of ${host.name}`, 60_000, () => {
    if (!isAlive(first)) throw new Error(readFileSync(paths.log, "utf8").trim());
    const found = readJson<ProcessIdentity>(paths.init);
    return found !== null && isAlive(found) ? found : null;
  });
  const mac = `02:77:00:00:00:${host.number.toString(16).padStart(2, "0")}`;
  await plugIn(bed, init, { name: host.name, address: addressOf(host.number), mac });
  await until(`the supervisor of ${host.name} (see ${paths.log})`, 120_000, async () => {
    if (!isAlive(init)) throw new Error(readFileSync(paths.log, "utf8").trim());
    return (await ask(bed, host.name, { verb: "status" })).kind === "done";
  });
}

/** The hosts that exist, on or off, by number. */
export function hostsOf(bed: BedPaths): readonly HostRecord[] {
  if (!existsSync(bed.root)) return [];
  return readdirSync(bed.root)
    .map((name) => readJson<HostRecord>(hostPaths(bed, name).record))
    .filter((record) => record !== null)
    .sort((a, b) => a.number - b.number);
}

export function hostNamed(bed: BedPaths, name: string): HostRecord {
  const found = hostsOf(bed).find((host) => host.name === name);
  if (found !== undefined) return found;
  const names = hostsOf(bed).map((host) => host.name);
  const there = names.length === 0 ? "none: start them with ./demo --keep" : names.join(", ");
  throw new Error(`no host ${name}; there ${names.length === 1 ? "is" : "are"} ${there}`);
}

/** The init of a host; null when it is powered off. */
export function initOf(bed: BedPaths, host: string): ProcessIdentity | null {
  const init = readJson<ProcessIdentity>(hostPaths(bed, host).init);
  return init !== null && isAlive(init) ? init : null;
}

/** The init of a host that can run something now. */
export function runningInitOf(bed: BedPaths, host: string): ProcessIdentity {
  const { name } = hostNamed(bed, host);
  const init = initOf(bed, name);
  if (init === null) throw new Error(`${name} is powered off; ./demo boot ${name}`);
  if (isFrozen(bed.id, name)) throw new Error(`${name} is paused; ./demo resume ${name}`);
  return init;
}

/** The file `path` of a host, as this machine can open it. */
export function fileIn(bed: BedPaths, host: string, path: string): string {
  return `/proc/${runningInitOf(bed, host).pid}/root${path}`;
}

/** The command that runs `command` in a host, as ssh would: root, its home, a clean environment. */
export function enterCommand(
  bed: BedPaths,
  host: string,
  command: readonly string[],
): readonly string[] {
  const { pid } = runningInitOf(bed, host);
  const cluster = [
    "FLOCKER_CERTS_PATH=/etc/flocker",
    "FLOCKER_USER=user",
    "FLOCKER_CONTROL_SERVICE=control-service",
  ];
  const environment = [
    `PATH=${searchPath}`,
    "HOME=/root",
    "USER=root",
    "LOGNAME=root",
    "LANG=C.UTF-8",
    "SHELL=/bin/bash",
    `TERM=${process.env["TERM"] ?? "dumb"}`,
    // A first bash whose input is a socket, as that of our children is, takes itself for one that
    // rshd started, and reads what the owner of this machine has in .bashrc.
    "SHLVL=1",
    ...(hostNamed(bed, host).bare ? [] : cluster),
  ];
  // It joins the host's cgroup, so that pausing the host pauses it too; and it is killed with the
  // one who asked for it.
  return [
    "sh",
    "-c",
    'echo 0 >"$0" && exec "$@"',
    membersFile(bed.id, host),
    "nsenter",
    "-t",
    String(pid),
    "-m",
    "-u",
    "-i",
    "-n",
    "-p",
    "-r",
    "--",
    "setpriv",
    "--pdeathsig",
    "KILL",
    "--",
    "env",
    "-i",
    "-C",
    "/root",
    ...environment,
    ...command,
  ];
}

export type Outcome = {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
};

export type ExecInHost = {
  readonly input?: string | Uint8Array;
  readonly deadlineMs?: number;
};

/** Runs a command in a host and returns what came of it, whatever its exit status. */
export function execIn(
  bed: BedPaths,
  host: string,
  command: readonly string[],
  { input = "", deadlineMs = 120_000 }: ExecInHost = {},
): Promise<Outcome> {
  const [program = "", ...args] = enterCommand(bed, host, command);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], cwd: "/" });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${host}: ${command.join(" ")}: not within ${deadlineMs} ms`));
    }, deadlineMs);
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {}); // A command that does not read its input is no error.
    child.stdin.end(input);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? 137, stdout: text(stdout), stderr: text(stderr) });
    });
  });
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString("utf8");
}

/** Asks the supervisor of a host; `stop` is answered when the service has ended. */
export function ask(bed: BedPaths, host: string, request: ServiceRequest): Promise<ServiceReply> {
  const init = runningInitOf(bed, host);
  return new Promise((resolve, reject) => {
    // Seen through the init's root: a socket is found by its path, in whatever namespace.
    const socket = connect(`/proc/${init.pid}/root${supervisorSocket}`);
    let answer = "";
    socket.setEncoding("utf8");
    socket.setTimeout(90_000, () => socket.destroy(new Error(`${host}: no answer in 90 s`)));
    socket.on("data", (chunk: string) => {
      answer += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      if (answer === "") reject(new Error(`${host}: its supervisor gave no answer`));
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- supervisor.ts sends it
      else resolve(JSON.parse(answer) as ServiceReply);
    });
    socket.write(`${JSON.stringify(request)}\n`);
  });
}
