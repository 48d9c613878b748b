import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { makeDirectory } from "./system.ts";

/**
 * Replaces `path` so that after a power cut it holds either the old or the new text, and holds the
 * new one once this has resolved: temporary file, fsync, rename(2), fsync of the directory.
 */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<void> {
  const directory = dirname(path);
  await makeDirectory(directory);
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(directory);
}

/** Makes entries of `directory` durable (fsync(2): a new name needs its directory synced). */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
