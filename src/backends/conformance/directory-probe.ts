import { open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { FileProbe, Place } from "./local-bench.ts";

const stepBytes = 2 ** 16;

/** The probe of drivers whose volumes are directories of this machine, as all real ones are. */
export const directoryProbe: FileProbe = {
  write: (at, name, text) => writeFile(fileOf(at, name), text, { flush: true }),
  read: async (at, name) => {
    try {
      return await readFile(fileOf(at, name), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw error;
    }
  },
  names: (at) => readdir(dataOf(at)),
  mode: async (at) => (await stat(dataOf(at))).mode & 0o7777,
  fill: async (at, bytes) => {
    await using file = await open(fileOf(at, "filled"), "a");
    const step = Buffer.alloc(stepBytes, "flocker conformance\n");
    for (let taken = 0; taken < bytes; taken += step.length) {
      try {
        await file.write(step);
        if (taken % (16 * stepBytes) === 0) await file.sync();
      } catch {
        return taken; // Refused, as a full volume does.
      }
    }
    await file.sync();
    return bytes;
  },
  hold: async (at, writes) => {
    const file = await open(fileOf(at, "held"), "w");
    const stop = new AbortController();
    if (!writes) stop.abort();
    const writing = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        await file.write("x");
        await nextTurn();
      }
    };
    const written = writing();
    return {
      write: async (text) => {
        await file.write(text, 0);
        await file.sync();
      },
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await written;
        await file.close();
      },
    };
  },
};

function dataOf({ backend, datasetId }: Place): string {
  return `${backend.livePath(datasetId)}/data`;
}

function fileOf(at: Place, name: string): string {
  return `${dataOf(at)}/${name}`;
}
