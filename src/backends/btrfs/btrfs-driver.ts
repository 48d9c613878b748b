import { readFile } from "node:fs/promises";
import { type Static, Type } from "typebox";
import { Check } from "typebox/value";
import { assert } from "../../lib/assert.ts";
import { FlockerError, hasCode } from "../../lib/errors.ts";
import { exec } from "../../lib/exec.ts";
import type { Driver } from "../driver.ts";
import { BtrfsBackend } from "./btrfs-backend.ts";
import { Pool } from "./pool.ts";
import { poolBytesMin, sourceOf } from "./pool-source.ts";

const path = Type.Optional(Type.String({ pattern: "^/" }));
const options = Type.Object(
  {
    pool_path: path,
    device: path,
    directory: path,
    pool_size: Type.Optional(Type.Integer({ minimum: poolBytesMin })),
  },
  { additionalProperties: false },
);
const openMsMax = 120_000;

/**
 * Volumes are subvolumes of a btrfs on this node's own disks, which follow their dataset to another
 * node over the network. What a node has in its pool is nowhere else.
 */
export const driver: Driver = {
  name: "btrfs",
  options,
  open: async (given, context) => {
    assert(Check(options, given), "the registry checks a driver's keys before it opens it");
    const keys: Static<typeof options> = given;
    const source = sourceOf(keys, context);
    await checkMachine(context.pool);
    const { log } = context;
    const call = { signal: AbortSignal.timeout(openMsMax), deadlineMs: openMsMax, log };
    return new BtrfsBackend(await Pool.open(source, context, call), context.clusterId);
  },
};

/** One sentence that names what is missing. */
async function checkMachine(pool: string): Promise<void> {
  const limits = { deadlineMs: 10_000 };
  for (const program of ["btrfs", "mkfs.btrfs"]) {
    await exec(program, ["--version"], limits).catch((cause: unknown) => {
      if (!hasCode(cause, "TOOL_MISSING")) throw cause;
      throw new FlockerError(
        "BACKEND_UNAVAILABLE",
        `Pool ${pool} needs the program ${program}, which is not installed (package btrfs-progs).`,
        { cause },
      );
    });
  }
  if (await kernelHasBtrfs()) return;
  await exec("modprobe", ["btrfs"], limits).catch(() => {}); // What it had to do is looked at.
  if (await kernelHasBtrfs()) return;
  throw new FlockerError(
    "BACKEND_UNAVAILABLE",
    `Pool ${pool} needs btrfs, which this machine's kernel does not have (module btrfs).`,
  );
}

async function kernelHasBtrfs(): Promise<boolean> {
  return /^nodev\s+btrfs$|^\s+btrfs$/m.test(await readFile("/proc/filesystems", "utf8"));
}
