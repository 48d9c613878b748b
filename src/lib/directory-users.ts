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

/** A process that has something below the directory open, mapped, or as its directory. */
export type FileUser = { readonly pid: number; readonly how: string };

export type DirectoryUsers = {
  readonly mounts: readonly MountUser[];
  readonly files: readonly FileUser[];
};

/**
 * Runs in a child: stat(2) of an open file can stall on a dead disk. Only the file system's own
 * number (st_dev) tells whose a file is: the path of one whose mount was taken away lazily tells
 * nothing. Files of mounts that are known, and of another device, are not touched.
 */
const script = `
const { readFileSync, readdirSync, realpathSync, statSync } = require("node:fs");
const [, directory, device] = process.argv.slice(1);
const attempt = (work, otherwise) => { try { return work(); } catch { return otherwise; } };
const real = attempt(() => realpathSync(directory), null);
if (real === null) process.exit(0);
const { dev } = statSync(real);
console.log("real " + real);
const isIt = (path) => attempt(() => statSync(path).dev === dev, false);
const linesOf = (path) => attempt(() => readFileSync(path, "utf8"), "").split("\\n");
// Kernels differ in which of the two numbers of a btrfs they show for a mapping.
const own = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
const shown = [own, device.split(":")].map((parts) =>
  parts.map((part) => Number(part).toString(16).padStart(2, "0")).join(":"));
for (const pid of readdirSync("/proc").filter((name) => /^\\d+$/.test(name))) {
  if (Number(pid) === process.pid) continue;
  const at = "/proc/" + pid;
  const elsewhere = new Set();
  for (const line of linesOf(at + "/mountinfo")) {
    const [id, , number] = line.split(" ");
    if (number !== undefined && number !== device) elsewhere.add(id);
  }
  const tell = (how) => console.log(pid + " " + how);
  for (const name of ["cwd", "root"]) if (isIt(at + "/" + name)) tell(name);
  for (const fd of attempt(() => readdirSync(at + "/fd"), [])) {
    const mount = linesOf(at + "/fdinfo/" + fd).find((line) => line.startsWith("mnt_id:"));
    if (mount !== undefined && elsewhere.has(mount.slice(7).trim())) continue;
    if (isIt(at + "/fd/" + fd)) tell("fd " + fd);
  }
  for (const line of linesOf(at + "/maps")) {
    const [range, , , number] = line.split(" ");
    if (!shown.includes(number)) continue;
    const [from, to] = range.split("-").map((part) => part.replace(/^0+(?=.)/, ""));
    if (isIt(at + "/map_files/" + from + "-" + to)) tell("map " + range);
  }
}
`;

/**
 * Everybody who uses a directory that has a st_dev of its own (a subvolume, or a whole file
 * system): mounts of it or of something below it in every namespace, then open files, mappings,
 * working and root directories of all processes. No directory, no users. A mount that only an open
 * file keeps after `umount -l` is in no mountinfo: its process is found by the file.
 */
export async function findDirectoryUsers(
  directory: string,
  options: Pick<ExecOptions, "signal" | "deadlineMs" | "lockFile">,
): Promise<DirectoryUsers> {
  const own = await readMountinfo();
  const below = mountOf(own, directory);
  if (below === null) return { mounts: [], files: [] };
  const args = ["-e", script, "flocker-users", directory, below.deviceNumber];
  const outputBytesMax = 64 << 20;
  const { stdout } = await exec(process.execPath, args, { ...options, outputBytesMax });
  const [first = "", ...lines] = stdout.split("\n").filter((line) => line !== "");
  if (!first.startsWith("real ")) return { mounts: [], files: [] };
  const inside = placeIn(below, first.slice("real ".length)).split(" ").slice(1).join(" ");
  const uses = ({ id, deviceNumber, root }: Mount): boolean =>
    id !== below.id &&
    deviceNumber === below.deviceNumber &&
    (root === inside || root.startsWith(`${inside}/`));
  const mounts: MountUser[] = [];
  for (const { pid, mounts: all } of [{ pid: null, mounts: own }, ...(await otherNamespaces())]) {
    for (const mount of all.filter(uses)) mounts.push({ pid, mount, place: placeOf(all, mount) });
  }
  return { mounts, files: oneEach(lines) };
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
