import { expect, test } from "vitest";
import { parseClusterId } from "../domain/ids.ts";
import { MemoryMedium, openMemoryStore } from "./store/memory-store.ts";
import { coreContents, metaKeys } from "./store-contents.ts";

const clusterId = parseClusterId("00000000-0000-4000-8000-000000000001");
let ids = 0;
const newId = (): string => `id-${(ids += 1)}`;

test.each([
  ["is read back", '{"totalMs":70000,"marks":{"trash:x:1":10000}}', 70_000],
  ["begins anew when it cannot be read", "{", 0],
  ["begins anew when it is something else", '{"totalMs":-1}', 0],
])("the counted uptime %s", async (_, value, totalMs) => {
  const medium = new MemoryMedium();
  const { store } = openMemoryStore({ medium, newId });
  await store.commit([{ kind: "meta", key: metaKeys.uptime, value }], 0);
  await store[Symbol.asyncDispose]();
  const { contents } = openMemoryStore({ medium, newId });
  expect(coreContents(contents, clusterId).uptime).toMatchObject({ totalMs });
});
