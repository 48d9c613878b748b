import { createHash } from "node:crypto";
import { join } from "node:path";

/** Where one bed keeps what it is made of. Everything below `root` dies with `down`. */
export type BedPaths = {
  /** Names the bed's processes, cgroups and directory; one for each checkout and purpose. */
  readonly id: string;
  readonly checkout: string;
  readonly root: string;
  /** A file for each purpose that this checkout ever had hosts for. */
  readonly beds: string;
  readonly lock: string;
  readonly owner: string;
  readonly loopNodes: string;
  readonly sanImage: string;
  readonly sanMount: string;
  readonly switchRecord: string;
  readonly certificates: string;
  /** Survives `down`, in the checkout: what is slow to make. */
  readonly cache: string;
};

/** `purpose` keeps beds of one checkout apart: a kept demo goes on while the tests run. */
export function bedPaths(checkout: string, purpose: string): BedPaths {
  const hash = createHash("sha256").update(`${checkout}\0${purpose}`).digest("hex").slice(0, 8);
  const id = `flocker-testbed-${hash}`;
  const root = join("/var/tmp", id);
  const beds = join(checkout, ".cache/beds");
  return {
    id,
    checkout,
    root,
    lock: join(beds, `${purpose}.lock`),
    beds,
    owner: join(root, "owner.json"),
    loopNodes: join(root, "loop-nodes.json"),
    sanImage: join(root, "san.img"),
    sanMount: join(root, "san"),
    switchRecord: join(root, "switch.json"),
    certificates: join(root, "certificates"),
    cache: join(checkout, ".cache"),
  };
}

export type HostPaths = {
  readonly directory: string;
  readonly record: string;
  readonly init: string;
  readonly disk: string;
  readonly seed: string;
  readonly log: string;
};

/** Where a host's own things are. */
export function hostPaths(bed: BedPaths, host: string): HostPaths {
  const directory = join(bed.root, host);
  return {
    directory,
    record: join(directory, "host.json"),
    init: join(directory, "init.json"),
    disk: join(directory, "disk.img"),
    seed: join(directory, "seed"),
    log: join(directory, "init.log"),
  };
}

/** An address that no machine outside can have: the bed's network ends in its own namespace. */
export function addressOf(number: number): string {
  return `10.77.0.${number}`;
}

export const switchAddress = addressOf(254);
