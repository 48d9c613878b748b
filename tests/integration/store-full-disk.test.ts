import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSqliteStore } from "../../src/control/store/sqlite-store.ts";
import { sampleId, sampleRecord } from "../../src/control/store/store-samples.ts";
import type { OpenedStore, StoreWrite } from "../../src/control/store/store.ts";
import { hasCode } from "../../src/lib/errors.ts";
import { exec } from "../../src/lib/exec.ts";

const root = mkdtempSync(join(tmpdir(), "flocker-full-"));
const disk = join(root, "disk");
const deadlineMs = 30_000;

beforeAll(async () => {
  mkdirSync(disk);
  await exec("truncate", ["-s", "80M", join(root, "image")], { deadlineMs });
  await exec("mkfs.ext4", ["-q", "-m", "0", join(root, "image")], { deadlineMs });
  await exec("mount", ["-o", "loop", join(root, "image"), disk], { deadlineMs });
});

afterAll(async () => {
  await exec("umount", [disk], { deadlineMs });
  rmSync(root, { recursive: true });
});

const path = join(disk, "control.sqlite");
const open = (): Promise<OpenedStore> =>
  openSqliteStore({ path, machineId: "machine-1", newId: randomUUID });

/** Takes every byte that is left. */
function fill(): void {
  for (const bytes of [1 << 20, 4096, 1]) {
    for (let n = 0; ; n += 1) {
      try {
        writeFileSync(join(disk, `filler-${bytes}-${n}`), Buffer.alloc(bytes, 1));
      } catch {
        break;
      }
    }
  }
}

async function empty(): Promise<void> {
  await exec("find", [disk, "-name", "filler-*", "-delete"], { deadlineMs });
}

const create = (n: number): StoreWrite => ({
  kind: "record",
  record: sampleRecord(n, n),
  expectedRevision: null,
});

/** Fills the WAL until the disk refuses; answers with the last revision that was acknowledged. */
async function commitUntilFull({ store }: OpenedStore, from: number): Promise<number> {
  for (let n = from; ; n += 1) {
    try {
      await store.commit([create(n)], n);
    } catch (error) {
      if (!hasCode(error, "STORE_FULL")) throw error;
      return n - 1;
    }
  }
}

test("a full disk refuses changes, still records releases, and loses nothing", async () => {
  const opened = await open();
  await opened.store.commit([create(1)], 1);
  expect(existsSync(`${path}.ballast`)).toBe(true);
  fill();
  let at = (await commitUntilFull(opened, 2)) + 1;

  // Only what is urgent uses the space that was kept back, also when others wait with it.
  const [refused, urgent] = await Promise.allSettled([
    opened.store.commit([create(at + 1_000)], at),
    opened.store.commit([create(at)], at, { urgent: true }),
  ]);
  expect(refused).toMatchObject({ status: "rejected", reason: { code: "STORE_FULL" } });
  expect(urgent.status).toBe("fulfilled");
  expect(existsSync(`${path}.ballast`)).toBe(false);
  await expect(opened.store.commit([create(at + 1)], at + 1)).rejects.toMatchObject({
    code: "STORE_FULL",
  });
  for (let more = 0; more < 500; more += 1) {
    at += 1;
    await opened.store.commit([create(at)], at, { urgent: true });
  }

  await empty();
  at += 1;
  await opened.store.commit([create(at)], at);
  expect(existsSync(`${path}.ballast`)).toBe(true);
  await opened.store[Symbol.asyncDispose]();

  // A start on a full disk finds all of it and records releases too.
  fill();
  const again = await open();
  expect([again.contents.revision, again.contents.records.size]).toEqual([at, at]);
  await expect(again.store.commit([create(at + 1)], at + 1)).rejects.toMatchObject({
    code: "STORE_FULL",
  });
  at += 1;
  await again.store.commit([create(at)], at, { urgent: true });
  await again.store[Symbol.asyncDispose]();
  await empty();

  const last = await open();
  expect(last.contents.records.has(sampleId(at))).toBe(true);
  expect([last.contents.restored, last.contents.term]).toEqual([false, 3]);
  await last.store[Symbol.asyncDispose]();
});
