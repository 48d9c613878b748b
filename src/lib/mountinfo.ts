import { readFile } from "node:fs/promises";

/** One line of mountinfo (proc_pid_mountinfo(5)). */
export type Mount = {
  readonly id: number;
  readonly parent: number;
  /** `major:minor`, the st_dev of files on it. */
  readonly deviceNumber: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  /** Relative to the root directory of the process whose mountinfo it is. */
  readonly mountPoint: string;
  readonly options: string;
  /** Optional fields such as `shared:1`. */
  readonly propagation: readonly string[];
  readonly fileSystem: string;
  readonly source: string;
};

/** Lines that are not understood are left out; the kernel never writes any. */
export function parseMountinfo(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const separator = fields.indexOf("-", 6);
    const [id, parent, deviceNumber, root, mountPoint, options] = fields;
    const [fileSystem, source] = fields.slice(separator + 1);
    if (separator < 0 || id === undefined || parent === undefined) return [];
    if (deviceNumber === undefined || root === undefined || mountPoint === undefined) return [];
    if (options === undefined || fileSystem === undefined) return [];
    return [
      {
        id: Number(id),
        parent: Number(parent),
        deviceNumber,
        root: unescapePath(root),
        mountPoint: unescapePath(mountPoint),
        options,
        propagation: fields.slice(6, separator),
        fileSystem,
        source: unescapePath(source ?? ""),
      },
    ];
  });
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescapePath(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}

export async function readMountinfo(pid: number | "self" = "self"): Promise<readonly Mount[]> {
  return parseMountinfo(await readFile(`/proc/${pid}/mountinfo`, "utf8"));
}

/** The mount that a path of the same namespace lies on: the longest, of equals the latest. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | null {
  const under = mounts.filter(
    ({ mountPoint }) =>
      mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`),
  );
  return under.reduce<Mount | null>(
    (best, mount) =>
      best === null || mount.mountPoint.length >= best.mountPoint.length ? mount : best,
    null,
  );
}

/** The mount whose mount point is exactly `path`; of several the topmost; null for none. */
export function mountAt(mounts: readonly Mount[], path: string): Mount | null {
  return mounts.findLast(({ mountPoint }) => mountPoint === path) ?? null;
}
