import { describe, expect, test } from "vitest";
import { MemoryMedium, openMemoryStore } from "./memory-store.ts";
import { storeCases } from "./store-cases.ts";
import { sampleRecord } from "./store-samples.ts";
import type { AuditLimits } from "./store.ts";

let ids = 0;
const newId = (): string => `id-${(ids += 1)}`;

describe("conformance store memory", () => {
  test.each(storeCases.map(({ name, run }) => [name, run] as const))("%s", async (_, run) => {
    const medium = new MemoryMedium();
    const judged = run({
      open: (limits?: AuditLimits) =>
        Promise.resolve(
          openMemoryStore({
            medium,
            newId,
            ...(limits === undefined ? {} : { auditLimits: limits }),
          }),
        ),
    });
    await expect(judged).resolves.toBeUndefined();
  });
});

describe("memory store", () => {
  test("a crash loses the group that was not acknowledged and keeps the one that was", async () => {
    const medium = new MemoryMedium();
    const { store } = openMemoryStore({ medium, newId });
    await store.commit([{ kind: "record", record: sampleRecord(1, 1), expectedRevision: null }], 1);
    const lost = store.commit(
      [{ kind: "record", record: sampleRecord(2, 2), expectedRevision: null }],
      2,
    );
    store.crash();
    await expect(lost).rejects.toMatchObject({ code: "STORE_FAILED" });
    const { contents } = openMemoryStore({ medium, newId });
    expect([contents.revision, contents.records.size]).toEqual([1, 1]);
  });
});
