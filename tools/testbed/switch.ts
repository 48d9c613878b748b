import { existsSync, mkdirSync, readlinkSync } from "node:fs";
import { type BedPaths, switchAddress } from "./bed-paths.ts";
import { readJson, writeJson } from "./linux/json-file.ts";
import { type ProcessIdentity, isAlive } from "./linux/process-identity.ts";
import { attempt, run } from "./run.ts";
import { spawnMarked } from "./linux/spawn-marked.ts";
import { until } from "./linux/until.ts";

const bridge = "bed0";

/**
 * A process that does nothing but keep two namespaces alive: the network in which the hosts' cables
 * end, and the mounts with the disk that stands for the SAN. This machine sees neither.
 */
export async function startSwitch(bed: BedPaths): Promise<ProcessIdentity> {
  mkdirSync(bed.sanMount, { recursive: true });
  if (!existsSync(bed.sanImage)) await makeDisk(bed.sanImage, "200G");
  const process = spawnMarked(bed.id, `${bed.root}/switch.log`, "unshare", [
    "--net",
    "--mount",
    "--propagation",
    "unchanged",
    "--",
    "sleep",
    "infinity",
  ]);
  await until("the switch", 30_000, () => {
    if (!isAlive(process)) throw new Error(`the switch has ended: see ${bed.root}/switch.log`);
    return readlinkSync(`/proc/${process.pid}/exe`).includes("sleep");
  });
  // No mount of ours is to reach this machine. Without -r this is done at the root of the
  // namespace, which below a chroot(2) is not the root that we see, and the only one that can be
  // named.
  await run("nsenter", "-t", String(process.pid), "-m", "--", "mount", "--make-rprivate", "/");
  const inNamespaces = ["nsenter", "-t", String(process.pid), "-m", "-n", "-r", "--"] as const;
  const inSwitch = (...command: string[]): Promise<string> => run(...inNamespaces, ...command);
  await inSwitch("mount", "-o", "loop,nouuid", bed.sanImage, bed.sanMount);
  await inSwitch("ip", "link", "set", "lo", "up");
  await inSwitch(
    "ip",
    "link",
    "add",
    bridge,
    "type",
    "bridge",
    "stp_state",
    "0",
    "forward_delay",
    "0",
  );
  await inSwitch("ip", "addr", "add", `${switchAddress}/24`, "dev", bridge);
  await inSwitch("ip", "link", "set", bridge, "up");
  // A name lookup is to be refused at once, each time, not once a second.
  await inSwitch("sh", "-c", "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit");
  writeJson(bed.switchRecord, process);
  return process;
}

/** The running switch; throws when the bed is down. */
export function switchOf(bed: BedPaths): ProcessIdentity {
  const process = readJson<ProcessIdentity>(bed.switchRecord);
  if (process === null || !isAlive(process)) throw new Error("the hosts are down: ./demo --keep");
  return process;
}

/** A sparse file with a file system; XFS, because it can clone files and be shut down. */
export async function makeDisk(path: string, size: string): Promise<void> {
  await run("truncate", "-s", size, path);
  await run("mkfs.xfs", "-q", "-K", path);
}

/** Gives the network namespace of `init` an eth0 whose other end is a port of the switch. */
export async function plugIn(
  bed: BedPaths,
  init: ProcessIdentity,
  host: { readonly name: string; readonly address: string; readonly mac: string },
): Promise<void> {
  const { pid } = switchOf(bed);
  await run(
    "ip",
    "link",
    "add",
    "eth0",
    "address",
    host.mac,
    "netns",
    String(init.pid),
    "type",
    "veth",
    "peer",
    "name",
    host.name,
    "netns",
    String(pid),
  );
  await inNetwork(pid, "ip", "link", "set", host.name, "master", bridge, "up");
  await inNetwork(init.pid, "ip", "addr", "add", `${host.address}/24`, "dev", "eth0");
  for (const link of ["lo", "eth0"]) await inNetwork(init.pid, "ip", "link", "set", link, "up");
}

function inNetwork(pid: number, ...command: string[]): Promise<string> {
  return run("nsenter", "-t", String(pid), "-n", "--", ...command);
}

/**
 * Cuts the way between two hosts, in the switch, where no host can see or undo it. A cut of one way
 * lets address resolution pass: without it the other way would soon be cut too.
 */
export async function partition(
  bed: BedPaths,
  { from, to, oneWay }: { readonly from: string; readonly to: string; readonly oneWay: boolean },
): Promise<void> {
  const { pid } = switchOf(bed);
  await heal(bed, from, to); // Not twice: one `heal` must be enough.
  await inNetwork(pid, ...dropRule("-A", [from, to], oneWay));
}

/** Mends the way from one host to the other; no error when it was whole. */
export async function heal(bed: BedPaths, from: string, to: string): Promise<void> {
  const pid = String(switchOf(bed).pid);
  for (const oneWay of [false, true]) {
    const rule = dropRule("-D", [from, to], oneWay);
    await attempt("nsenter", "-t", pid, "-n", "--", ...rule);
  }
}

function dropRule(verb: "-A" | "-D", [from, to]: [string, string], oneWay: boolean): string[] {
  const but = oneWay ? ["-p", "!", "ARP"] : [];
  return ["ebtables-nft", verb, "FORWARD", ...but, "-i", from, "-o", to, "-j", "DROP"];
}
