import type { Cluster } from "./cluster.ts";

/** A subvolume below `live/` of a host's own pool that could be written to. */
export type LiveOnDisk = { readonly host: string; readonly path: string };

/** What the hosts' disks have of a dataset: nothing here asks an agent or the control service. */
export async function liveOnDisks(cluster: Cluster, id: string): Promise<readonly LiveOnDisk[]> {
  const script = `cd /run/flocker/pools/default
    for v in live/${id}/*; do
      [ -d "$v" ] && [ ! -L "$v" ] && [ "$(stat -c %i "$v")" = 256 ] || continue
      [ "$(btrfs property get -ts "$v" ro)" = ro=true ] || echo "$v"
    done`;
  return eachLine(cluster, script);
}

/** What receives of it have left behind. */
export async function partialOnDisks(cluster: Cluster, id: string): Promise<readonly LiveOnDisk[]> {
  const script = `cd /run/flocker/pools/default
    for v in receiving/${id}/* copies/${id}/*.base; do [ ! -e "$v" ] || echo "$v"; done`;
  return eachLine(cluster, script);
}

/** All that there is of it: in the pools of the hosts, and in the directory that is their SAN. */
export async function anyOnDisks(cluster: Cluster, id: string): Promise<readonly LiveOnDisk[]> {
  const script = `cd /run/flocker/pools/default
    for v in live copies receiving sent; do [ ! -e "$v/${id}" ] || find "$v/${id}" -mindepth 1 | head -5; done
    grep -lsF ${id} /san/volumes/volumes/*.json || true`;
  return eachLine(cluster, script);
}

/** Where it is mounted, in the host's own namespace. */
export async function mounted(cluster: Cluster, id: string): Promise<readonly LiveOnDisk[]> {
  return eachLine(cluster, `grep -F ${id} /proc/self/mountinfo | cut -d" " -f5 || true`);
}

async function eachLine(cluster: Cluster, script: string): Promise<readonly LiveOnDisk[]> {
  const found: LiveOnDisk[] = [];
  for (const { name: host } of cluster.bed.hosts()) {
    const said = await cluster.run(host, script);
    for (const path of said.split("\n").filter((line) => line !== "")) found.push({ host, path });
  }
  return found;
}
