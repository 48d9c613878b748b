import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { attempt, run } from "../run.ts";

/** A loop device in use. The path of its file means little: it may be of another namespace. */
export type Loop = {
  readonly name: string;
  /** "major:minor" of the loop device itself, as in mountinfo. */
  readonly device: string;
  /** "major:minor" of the file system that holds the file, and the file's inode. */
  readonly fileDevice: string;
  readonly fileInode: number;
};

/** All loop devices of this machine that have a file. */
export async function listLoops(): Promise<readonly Loop[]> {
  const text = await run("losetup", "-l", "-n", "-O", "NAME,MAJ:MIN,BACK-MAJ:MIN,BACK-INO");
  return text
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length === 4)
    .map(([name = "", device = "", fileDevice = "", inode = ""]) => ({
      name,
      device,
      fileDevice,
      fileInode: Number(inode),
    }));
}

/**
 * Those whose file is below `directory`, and, again and again, those whose file is on a file system
 * on one of these: images inside of images.
 */
export function loopsBelow(directory: string, loops: readonly Loop[]): readonly Loop[] {
  const files = filesBelow(directory);
  const found = new Set(
    loops.filter(({ fileDevice, fileInode }) => files.has(`${fileDevice} ${fileInode}`)),
  );
  for (let size = -1; size !== found.size;) {
    size = found.size;
    const devices = new Set([...found].map(({ device }) => device));
    for (const loop of loops) if (devices.has(loop.fileDevice)) found.add(loop);
  }
  return [...found];
}

/** "device inode" of each regular file below `directory`, without crossing into mounts. */
function filesBelow(directory: string): ReadonlySet<string> {
  if (!existsSync(directory)) return new Set();
  const images = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith(".img"),
  );
  return new Set(images.map((path) => fileKey(join(directory, path))));
}

/** "major:minor inode" of a file. */
export function fileKey(path: string): string {
  const { dev, ino } = statSync(path);
  return `${deviceNumber(dev)} ${ino}`;
}

/** As the kernel writes it: "major:minor". (makedev(3), glibc's layout for numbers below 2^32) */
export function deviceNumber(dev: number): string {
  const major = ((dev >>> 8) & 0xfff) | (Math.floor(dev / 2 ** 32) & 0xfffff000);
  return `${major}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`;
}

/** Takes the file off a loop device; one that is still open goes when it is closed. */
export async function detachLoop(name: string): Promise<void> {
  await attempt("losetup", "-d", name);
}

export function loopNodes(): readonly string[] {
  return readdirSync("/dev").filter((name) => /^loop\d+$/.test(name));
}

/** Removes free loop devices that are not in `before`; the kernel refuses those in use. */
export async function removeLoopNodes(before: readonly string[]): Promise<void> {
  const free = loopNodes().filter(
    (name) => !before.includes(name) && !existsSync(`/sys/block/${name}/loop/backing_file`),
  );
  if (free.length === 0) return;
  // LOOP_CTL_REMOVE (linux/loop.h); Node.js has no ioctl, and perl-base is on every Debian.
  const script = 'open my $c, "+<", "/dev/loop-control"; ioctl($c, 0x4c81, 0 + $_) for @ARGV';
  await attempt("perl", "-e", script, ...free.map((name) => name.slice("loop".length)));
}

/** A line of /proc/PID/mountinfo, as far as anybody here needs it. */
export type Mount = { readonly device: string; readonly path: string; readonly kind: string };

/** The mounts that process `pid` sees; none when it has ended. */
export function mountsOf(pid: number | "self"): readonly Mount[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const fields = before.split(" ");
      const path = (fields[4] ?? "").replaceAll(/\\(\d{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      );
      return { device: fields[2] ?? "", path, kind: after.split(" ")[0] ?? "" };
    });
}
