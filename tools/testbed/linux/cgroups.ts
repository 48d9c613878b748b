import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { until } from "./until.ts";

const top = "/sys/fs/cgroup";

/** Cgroup v2 alone, or v1 hierarchies beside it: they freeze differently. */
const unified = existsSync(join(top, "cgroup.controllers"));
const base = unified ? top : join(top, "freezer");

/** The cgroup that holds all processes of a host; its engine's containers are below it. */
export function hostCgroup(bedId: string, host: string): string {
  return join(base, bedId, host);
}

/** The file that a process of the host writes 0 (itself) to, to belong to it. */
export function membersFile(bedId: string, host: string): string {
  // In v2 only leaves may have members, and the engine makes children of the host's cgroup.
  const leaf = unified ? join(hostCgroup(bedId, host), "init") : hostCgroup(bedId, host);
  mkdirSync(leaf, { recursive: true });
  return join(leaf, "cgroup.procs");
}

/** What the engine of the host gets as `--cgroup-parent`. */
export function engineCgroup(bedId: string, host: string): string {
  return `/${bedId}/${host}/docker`;
}

/** All processes of a host, those of its containers included. */
export function members(bedId: string, host: string): readonly number[] {
  return directoriesBelow(hostCgroup(bedId, host)).flatMap((directory) => {
    try {
      const text = readFileSync(join(directory, "cgroup.procs"), "utf8");
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map(Number);
    } catch {
      return []; // Removed meanwhile.
    }
  });
}

/**
 * Stops every process of a host, or lets them go on; resolves when the kernel says that it is so.
 */
export async function freeze(bedId: string, host: string, frozen: boolean): Promise<void> {
  const cgroup = hostCgroup(bedId, host);
  if (!existsSync(cgroup)) return;
  if (unified) {
    writeFileSync(join(cgroup, "cgroup.freeze"), frozen ? "1" : "0");
    await until(`${host} ${frozen ? "paused" : "resumed"}`, 5_000, () =>
      readFileSync(join(cgroup, "cgroup.events"), "utf8").includes(`frozen ${frozen ? 1 : 0}`),
    );
    return;
  }
  const wanted = frozen ? "FROZEN" : "THAWED";
  await until(`${host} ${frozen ? "paused" : "resumed"}`, 5_000, () => {
    writeFileSync(join(cgroup, "freezer.state"), wanted);
    return readFileSync(join(cgroup, "freezer.state"), "utf8").trim() === wanted;
  });
}

export function isFrozen(bedId: string, host: string): boolean {
  const file = join(hostCgroup(bedId, host), unified ? "cgroup.freeze" : "freezer.self_freezing");
  return existsSync(file) && readFileSync(file, "utf8").trim() === "1";
}

/** Every cgroup directory of the bed, or of one host of it, in all hierarchies. */
export function cgroupDirectories(bedId: string, host = ""): readonly string[] {
  const roots = unified ? [top] : readdirSync(top).map((name) => join(top, name));
  return roots.flatMap((root) => directoriesBelow(join(root, bedId, host)));
}

/** Removes them; those that still have members stay, and `cgroupDirectories` shows them. */
export function removeCgroups(bedId: string, host = ""): void {
  for (const directory of cgroupDirectories(bedId, host).toReversed()) {
    try {
      rmdirSync(directory);
    } catch {
      // Still in use: the caller looks again.
    }
  }
}

/** `directory` and all below it, parents first. */
function directoriesBelow(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    const children = entries.filter((entry) => entry.isDirectory());
    return [directory, ...children.flatMap(({ name }) => directoriesBelow(join(directory, name)))];
  } catch {
    return [];
  }
}
