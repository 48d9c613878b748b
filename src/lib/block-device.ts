import { readFile } from "node:fs/promises";
import { basename } from "node:path";

/** What sysfs says of a block device: the kernel's memory, which a dead disk cannot stall. */
export type BlockDevice = {
  /** Grows with each attachment of any disk: the same path with another one is another disk. */
  readonly diskSequence: number;
  /** `major:minor`, as in mountinfo. */
  readonly deviceNumber: string;
  readonly sizeBytes: number;
};

const sectorBytes = 512; // sysfs counts in these, whatever the device's own sectors are.

/** Null when the kernel has no such device. */
export async function readBlockDevice(path: string): Promise<BlockDevice | null> {
  const [sequence, number, sectors] = await Promise.all(
    ["diskseq", "dev", "size"].map((name) => readSysfs(path, name)),
  );
  if (sequence === null || sequence === undefined) return null;
  if (number === null || number === undefined) return null;
  return {
    diskSequence: Number(sequence),
    deviceNumber: number,
    sizeBytes: Number(sectors ?? 0) * sectorBytes,
  };
}

/** One attribute of a block device, without the line's end; null when there is none. */
export async function readSysfs(path: string, attribute: string): Promise<string | null> {
  try {
    const text = await readFile(`/sys/class/block/${basename(path)}/${attribute}`, "utf8");
    return text.trimEnd();
  } catch {
    return null; // No such device or attribute, or it went away while it was read.
  }
}
