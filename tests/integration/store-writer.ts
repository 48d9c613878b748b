import { randomUUID } from "node:crypto";
import { openSqliteStore } from "../../src/control/store/sqlite-store.ts";
import { sampleRecord } from "../../src/control/store/store-samples.ts";
import { messageOf } from "../../src/lib/errors.ts";

/**
 * Writes one dataset after another and prints `ack N` for each that was acknowledged, until it is
 * killed or has written `argv[3]` of them. `failed N CODE` ends it with status 0.
 */
const [, , path = "", count = "1000000"] = process.argv;
const { store, contents } = await openSqliteStore({
  path,
  machineId: "machine-1",
  newId: randomUUID,
  ballastBytes: 4096,
});

const first = contents.revision + 1;
for (let n = first; n < first + Number(count); n += 1) {
  try {
    await store.commit([{ kind: "record", record: sampleRecord(n, n), expectedRevision: null }], n);
    console.log(`ack ${n}`);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "none";
    console.log(`failed ${n} ${code} ${messageOf(error)}`);
    const again = await store.commit([], n).then(
      () => "resolved",
      () => "refused",
    );
    console.log(`again ${again}`);
    break;
  }
}
await store[Symbol.asyncDispose]();
