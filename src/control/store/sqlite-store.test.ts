import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test } from "vitest";
import { schemaVersion } from "./migrations.ts";
import { backupSqliteStore } from "./sqlite-backup.ts";
import { type SqliteStoreOptions, openSqliteStore } from "./sqlite-store.ts";
import { storeCases } from "./store-cases.ts";
import { sampleId, sampleRecord } from "./store-samples.ts";
import type { OpenedStore, StoreContents, StoreWrite } from "./store.ts";

const root = mkdtempSync(join(tmpdir(), "flocker-store-"));
afterAll(() => rmSync(root, { recursive: true }));

let ids = 0;
const newId = (): string => `id-${(ids += 1)}`;
const newPath = (): string => join(root, newId(), "control.sqlite");

function open(path: string, more: Partial<SqliteStoreOptions> = {}): Promise<OpenedStore> {
  return openSqliteStore({ path, machineId: "machine-1", newId, ballastBytes: 4096, ...more });
}

async function use(
  path: string,
  work: (opened: OpenedStore) => Promise<void> = () => Promise.resolve(),
  more: Partial<SqliteStoreOptions> = {},
): Promise<StoreContents> {
  const opened = await open(path, more);
  await using _ = opened.store;
  await work(opened);
  return opened.contents;
}

const create = (n: number, revision: number): StoreWrite => ({
  kind: "record",
  record: sampleRecord(n, revision),
  expectedRevision: null,
});

function edit(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

describe("conformance store sqlite", () => {
  test.each(storeCases.map(({ name, run }) => [name, run] as const))("%s", async (_, run) => {
    const path = newPath();
    const judged = run({
      open: (limits) => open(path, limits === undefined ? {} : { auditLimits: limits }),
    });
    await expect(judged).resolves.toBeUndefined();
  });
});

describe("sqlite store", () => {
  test("refuses to be opened twice, and opens again once it was closed", async () => {
    const path = newPath();
    const first = await open(path);
    await expect(open(path)).rejects.toThrow(/Another control service uses the store/);
    await first.store[Symbol.asyncDispose]();
    expect((await use(path)).term).toBe(2);
  });

  test("refuses a newer schema, names both versions and leaves the file as it was", async () => {
    const path = newPath();
    await use(path);
    edit(path, `PRAGMA user_version = ${schemaVersion + 1}`);
    const before = readFileSync(path);
    const opening = open(path);
    await expect(opening).rejects.toMatchObject({ code: "STORE_SCHEMA_NEWER" });
    await expect(opening).rejects.toThrow(
      `has schema ${schemaVersion + 1}; this program knows schemas up to ${schemaVersion}`,
    );
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("refuses a database of somebody else and one that is none", async () => {
    const path = newPath();
    await use(path);
    rmSync(path);
    edit(path, "CREATE TABLE theirs (x)");
    await expect(open(path)).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
    writeFileSync(path, "this is a text file of some length, not a database ".repeat(100));
    await expect(open(path)).rejects.toMatchObject({ code: "STORE_FAILED" });
  });

  test("refuses a record that does not fit, naming the dataset and the member", async () => {
    const path = newPath();
    await use(path, ({ store }) => store.commit([create(1, 1)], 1));
    edit(path, "UPDATE datasets SET record = json_set(record, '$.generation', -1)");
    await expect(open(path)).rejects.toThrow(new RegExp(`${sampleId(1)}.*/generation`));
    edit(path, "UPDATE datasets SET record = json_set(record, '$.generation', 1, '$.extra', 1)");
    await expect(open(path)).rejects.toMatchObject({ code: "STORE_FAILED" });
    edit(path, "UPDATE datasets SET record = json_remove(record, '$.extra')");
    expect((await use(path)).records.get(sampleId(1))?.generation).toBe(1);
  });

  test("an unclean end is followed by a look through the whole database", async () => {
    const path = newPath();
    await use(path, async ({ store }) => {
      for (let n = 1; n <= 200; n += 1) await store.commit([create(n, n)], n);
    });
    const bytes = readFileSync(path);
    // Overwrites half a page of the records: only a look through all of them finds it.
    bytes.fill(0, bytes.length - 6_000, bytes.length - 4_000);
    writeFileSync(path, bytes);
    const witness = readFileSync(`${path}.witness`, "utf8");
    writeFileSync(`${path}.witness`, witness.replace('"clean":true', '"clean":false'));
    await expect(open(path)).rejects.toThrow(/is damaged/);
  });
});

describe("sqlite store that is a copy or was set back", () => {
  test("is STORE_COPIED on another machine or path until a person accepts it", async () => {
    const [path, moved] = [newPath(), newPath()];
    const first = await use(path, ({ store }) => store.commit([create(1, 1)], 1));
    cpSync(join(path, ".."), join(moved, ".."), { recursive: true });
    await expect(open(moved)).rejects.toMatchObject({ code: "STORE_COPIED" });
    await expect(open(path, { machineId: "machine-2" })).rejects.toMatchObject({
      code: "STORE_COPIED",
    });
    const accepted = await use(moved, undefined, { acceptCopy: true });
    expect([accepted.storeId, accepted.copied, accepted.restored]).toEqual([
      first.storeId,
      true,
      false,
    ]);
    const later = await use(moved, ({ store }) => store.commit([{ kind: "recovered" }], 1));
    expect(later.copied).toBe(true);
    expect((await use(moved)).copied).toBe(false);
    expect((await use(path)).copied).toBe(false);
  });

  test.each([
    ["an older start", 1],
    ["the same start at an older revision", 0],
  ])("is restored when the database is set back to %s", async (_, startsBetween) => {
    const path = newPath();
    const { store } = await open(path);
    await store.commit([create(1, 1)], 1);
    await backupRaw(path, `${path}.old`);
    await store.commit([create(2, 2)], 2);
    await store[Symbol.asyncDispose]();
    for (let n = 0; n < startsBetween; n += 1) await use(path);
    cpSync(`${path}.old`, path);
    const contents = await use(path);
    expect([contents.restored, contents.revision, contents.term]).toEqual([
      true,
      1,
      startsBetween + 2,
    ]);
    expect((await use(path, ({ store: s }) => s.commit([{ kind: "recovered" }], 1))).restored).toBe(
      true,
    );
    expect((await use(path)).restored).toBe(false);
  });

  test("is restored when the database is gone but its witness is there", async () => {
    const path = newPath();
    await use(path);
    rmSync(path);
    const contents = await use(path);
    expect([contents.restored, contents.term, contents.records.size]).toEqual([true, 2, 0]);
  });
});

/** What a careless person's copy of the running database holds: no marks. */
async function backupRaw(path: string, target: string): Promise<void> {
  await backupSqliteStore(path, target);
  const database = new DatabaseSync(path, { readOnly: true });
  rmSync(target);
  database.prepare("VACUUM INTO ?").run(target);
  database.close();
}

describe("backup of a sqlite store", () => {
  test("is made while it runs, starts as restored, elsewhere too, and never overwrites", async () => {
    const path = newPath();
    const target = join(root, newId());
    const opened = await open(path);
    await opened.store.commit([create(1, 1)], 1);
    await backupSqliteStore(path, target);
    await opened.store.commit([create(2, 2)], 2);
    await opened.store[Symbol.asyncDispose]();
    const before = readFileSync(target);
    await expect(backupSqliteStore(path, target)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    expect(readFileSync(target).equals(before)).toBe(true);
    expect(existsSync(`${target}.partial-${process.pid}`)).toBe(false);
    const contents = await use(target, undefined, { machineId: "machine-2" });
    expect([...contents.records.keys()]).toEqual([sampleId(1)]);
    expect([contents.restored, contents.copied, contents.term]).toEqual([true, false, 2]);
    expect(contents.storeId).toBe(opened.contents.storeId);
  });

  test("a place that cannot be written to is named, and the store is not blamed", async () => {
    const path = newPath();
    const { store } = await open(path);
    await expect(backupSqliteStore(path, "/nowhere/at/all")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: "/nowhere/at/all cannot be written: no such file or directory.",
    });
    await expect(backupSqliteStore(path, "/dev/full/x")).rejects.toMatchObject({
      message: "/dev/full/x cannot be written: not a directory.",
    });
    await store[Symbol.asyncDispose]();
  });
});
