import { closeSync, fsyncSync, openSync, rmSync, statSync, statfsSync, writeSync } from "node:fs";
import { dirname } from "node:path";

export const ballastBytesDefault = 16 * 2 ** 20;

/**
 * A file of nothing that keeps space back: on a full disk it is removed, so that releases and
 * aborts can still be recorded. While it is gone only urgent commits are written.
 */
export class Ballast {
  readonly #path: string;
  readonly #bytes: number;

  constructor(databasePath: string, bytes: number) {
    this.#path = `${databasePath}.ballast`;
    this.#bytes = bytes;
  }

  get isHeld(): boolean {
    return this.#bytes === 0 || sizeOf(this.#path) === this.#bytes;
  }

  /** Makes it when there is room for it and as much again. Returns whether it is held. */
  hold(): boolean {
    if (this.isHeld) return true;
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    if (bavail * bsize < 2 * this.#bytes) return false;
    try {
      const file = openSync(this.#path, "w", 0o600);
      try {
        const block = Buffer.alloc(Math.min(this.#bytes, 2 ** 20), "flocker ");
        for (let at = 0; at < this.#bytes;) {
          at += writeSync(file, block, 0, Math.min(block.length, this.#bytes - at));
        }
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch {
      this.free();
    }
    return this.isHeld;
  }

  /** Gives the space back. */
  free(): void {
    rmSync(this.#path, { force: true });
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
