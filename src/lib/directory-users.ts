import { exec, type ExecOptions } from "./exec.ts";
import { otherNamespaces, placeIn, placeOf } from "./mount-namespaces.ts";
import { type Mount, mountOf, readMountinfo } from "./mountinfo.ts";

/** A mount of something below the directory. */
export type MountUser = {
  /** A process that sees it; null for a mount of our own namespace. */
  readonly pid: number | null;
  readonly mount: Mount;
  /** What it stands on, the same in all namespaces. */
  readonly place: string | null;
};

/** A process that has something open (`fd 3`), mapped, or as its directory (`cwd`, `root`). */
export type FileUser = { readonly pid: number; readonly how: string };

type ChildOptions = Pick<ExecOptions, "signal" | "deadlineMs" | "lockFile">;

export type DirectoryUsers = {
  readonly mounts: readonly MountUser[];
  readonly files: readonly FileUser[];
  /** Loop devices of files below the directory: no process has those open, and all may write. */
  readonly loops: readonly string[];
};

/**
 * Runs in a child: stat(2) of an open file can stall on a dead disk. Only the file system's own
 * number (st_dev) tells whose a file is: the path of one whose mount was taken away lazily tells
 * nothing. Files of mounts that are known, and of another device, are not touched. Without a
 * directory the whole file system on the device is meant, and a file of a known mount of it is one
 * of its files without a look: a file system that was shut down answers none.
 *
 * A process whose first thread has ended shows its files only at those that are left; another one
 * may have a table of its own, which is told by its numbers.
 */
const script = `
const { execFileSync } = require("node:child_process");
const { readFileSync, readdirSync, readlinkSync, realpathSync, statSync } = require("node:fs");
const [, directory, device] = process.argv.slice(1);
const attempt = (work, otherwise) => { try { return work(); } catch { return otherwise; } };
const whole = directory === "";
const [major, minor] = device.split(":").map(Number);
const real = whole ? "" : attempt(() => realpathSync(directory), null);
if (real === null) process.exit(0);
const dev = whole ? major * 256 + (minor & 0xff) + (minor >> 8) * 2 ** 20 : statSync(real).dev;
console.log("real " + real);
const isIt = (path) => attempt(() => statSync(path).dev === dev, false);
const linesOf = (path) => attempt(() => readFileSync(path, "utf8"), "").split("\\n");
// Kernels differ in which of the two numbers of a btrfs they show for a mapping.
const own = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
const shown = [own, device.split(":")].map((parts) =>
  parts.map((part) => Number(part).toString(16).padStart(2, "0")).join(":"));
const losetup = ["-n", "-O", "NAME,BACK-MAJ:MIN"];
const stdio = ["ignore", "pipe", "ignore"];
const loops = whole ? "" : execFileSync("losetup", losetup, { encoding: "utf8", stdio });
for (const line of loops.split("\\n")) {
  const [name, number] = line.trim().split(/\\s+/);
  if (number === own.join(":")) console.log("loop " + name);
}
function lookAt(pid, at, fds) {
  const [here, elsewhere] = [new Set(), new Set()];
  for (const line of linesOf(at + "/mountinfo")) {
    const [id, , number] = line.split(" ");
    if (number !== undefined) (number === device ? here : elsewhere).add(id);
  }
  const tell = (how) => console.log(pid + " " + how);
  for (const name of ["cwd", "root"]) if (isIt(at + "/" + name)) tell(name);
  for (const fd of fds) {
    const line = linesOf(at + "/fdinfo/" + fd).find((text) => text.startsWith("mnt_id:"));
    const mount = line === undefined ? "" : line.slice(7).trim();
    if (elsewhere.has(mount)) continue;
    if ((whole && here.has(mount)) || isIt(at + "/fd/" + fd)) tell("fd " + fd);
  }
  for (const line of linesOf(at + "/maps")) {
    const [range, , , number] = line.split(" ");
    if (!shown.includes(number)) continue;
    const [from, to] = range.split("-").map((part) => part.replace(/^0+(?=.)/, ""));
    if (whole || isIt("/proc/" + pid + "/map_files/" + from + "-" + to)) tell("map " + range);
  }
}
for (const pid of readdirSync("/proc").filter((name) => /^\\d+$/.test(name))) {
  if (Number(pid) === process.pid) continue;
  const seen = new Set();
  for (const thread of attempt(() => readdirSync("/proc/" + pid + "/task"), [])) {
    const at = "/proc/" + pid + "/task/" + thread;
    const link = (name) => attempt(() => readlinkSync(at + "/" + name), "");
    const fds = attempt(() => readdirSync(at + "/fd"), []);
    const key = [link("cwd"), link("root"), ...fds].join(" ");
    if (!seen.has(key)) lookAt(pid, at, fds);
    seen.add(key);
  }
}
`;

/**
 * Everybody who uses a directory that has a st_dev of its own (a subvolume, or a whole file
 * system): mounts of it or of something below it in every namespace, then open files, mappings,
 * working and root directories of all processes, and loop devices. No directory, no users. A mount
 * that only an open file keeps after `umount -l` is in no mountinfo: its process is found by the
 * file.
 */
export async function findDirectoryUsers(
  directory: string,
  options: ChildOptions,
): Promise<DirectoryUsers> {
  const own = await readMountinfo();
  const below = mountOf(own, directory);
  if (below === null) return { mounts: [], files: [], loops: [] };
  const [first = "", ...lines] = await runScript(directory, below.deviceNumber, options);
  if (!first.startsWith("real ")) return { mounts: [], files: [], loops: [] };
  const inside = placeIn(below, first.slice("real ".length)).split(" ").slice(1).join(" ");
  const uses = ({ id, deviceNumber, root }: Mount): boolean =>
    id !== below.id &&
    deviceNumber === below.deviceNumber &&
    (root === inside || root.startsWith(`${inside}/`));
  const mounts: MountUser[] = [];
  for (const { pid, mounts: all } of [{ pid: null, mounts: own }, ...(await otherNamespaces())]) {
    for (const mount of all.filter(uses)) mounts.push({ pid, mount, place: placeOf(all, mount) });
  }
  const loops = lines.filter((line) => line.startsWith("loop "));
  return {
    mounts,
    files: oneEach(lines.slice(loops.length)),
    loops: loops.map((line) => line.slice("loop ".length)),
  };
}

/**
 * Everybody who has a file of the file system on a block device open or mapped, or a directory of
 * it as theirs: also where no mountinfo shows it any more, and where it was shut down.
 */
export async function findDeviceUsers(
  deviceNumber: string,
  options: ChildOptions,
): Promise<readonly FileUser[]> {
  return oneEach((await runScript("", deviceNumber, options)).slice(1));
}

async function runScript(
  directory: string,
  deviceNumber: string,
  options: ChildOptions,
): Promise<readonly string[]> {
  const args = ["-e", script, "flocker-users", directory, deviceNumber];
  const outputBytesMax = 64 << 20;
  const { stdout } = await exec(process.execPath, args, { ...options, outputBytesMax });
  return stdout.split("\n").filter((line) => line !== "");
}

/** The first thing that each process has. */
function oneEach(lines: readonly string[]): readonly FileUser[] {
  const found = new Map<number, string>();
  for (const line of lines) {
    const [pid = "", ...how] = line.split(" ");
    if (!found.has(Number(pid))) found.set(Number(pid), how.join(" "));
  }
  return [...found].map(([pid, how]) => ({ pid, how }));
}
