import { readdir, readFile, readlink } from "node:fs/promises";
import { type Mount, parseMountinfo } from "./mountinfo.ts";

/** One process of a mount namespace, with everything that is mounted in it. */
export type MountNamespace = { readonly pid: number; readonly mounts: readonly Mount[] };

/** One process of each mount namespace but our own. Only text of /proc is read. */
export async function otherNamespaces(): Promise<readonly MountNamespace[]> {
  const seen = new Set([await namespaceOf("self")]);
  const found = [];
  for (const pid of await processes()) {
    const thread = await livingThread(pid);
    const namespace = thread === null ? null : await namespaceOf(thread);
    if (thread === null || namespace === null || seen.has(namespace)) continue;
    const mounts = parseMountinfo((await readProc(thread, "mountinfo")) ?? "");
    if (mounts.length === 0) continue; // It ended meanwhile; another of its namespace may follow.
    seen.add(namespace);
    found.push({ pid: Number(pid), mounts });
  }
  return found;
}

/** The first thread of a process may have ended before the others, and then tells nothing. */
async function livingThread(pid: string): Promise<string | null> {
  if ((await namespaceOf(pid)) !== null) return pid;
  for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
    if ((await namespaceOf(thread)) !== null) return thread;
  }
  return null;
}

/** Ids of the processes that /proc shows at this instant. */
export async function processes(): Promise<readonly string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
}

/** Null for a process that has ended. */
export async function readProc(pid: string, name: string): Promise<string | null> {
  try {
    return await readFile(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return null; // The process has ended: it holds nothing.
  }
}

/** Which mount namespace a process is in; null when it has ended. */
export async function namespaceOf(pid: string): Promise<string | null> {
  try {
    return await readlink(`/proc/${pid}/ns/mnt`);
  } catch {
    return null;
  }
}

/** The directory that a mount stands on, as device and path in it: the same in all namespaces. */
export function placeOf(mounts: readonly Mount[], { parent, mountPoint }: Mount): string | null {
  const below = mounts.find(({ id }) => id === parent);
  return below === undefined ? null : placeIn(below, mountPoint);
}

/** A directory as device and path in it: `below` is what it lies on. */
export function placeIn(below: Mount, path: string): string {
  const inside = path.slice(below.mountPoint === "/" ? 0 : below.mountPoint.length);
  return `${below.deviceNumber} ${below.root === "/" ? "" : below.root}${inside}`;
}
