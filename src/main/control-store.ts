import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { makeDataDirectory, storePath } from "../control/data-directory.ts";
import { backupSqliteStore } from "../control/store/sqlite-backup.ts";
import { openSqliteStore } from "../control/store/sqlite-store.ts";
import { metaKeys } from "../control/store-contents.ts";
import { FlockerError } from "../lib/errors.ts";
import { readMachineId } from "../lib/system.ts";

export type BackedUp = { readonly store: string; readonly file: string };

/** Copies the store of `dataPath`, which may be in use, to the new `file`. */
export async function backupControl(dataPath: string, file: string): Promise<BackedUp> {
  const store = storePath(dataPath);
  if (!existsSync(store)) {
    throw new FlockerError(
      "CONFIGURATION_INVALID",
      `There is no store at ${store}: name the data path of the control service with --data-path.`,
    );
  }
  await backupSqliteStore(store, file);
  return { store, file };
}

export type Recovering = {
  readonly term: number;
  readonly datasets: number;
  readonly nodes: number;
};

/** Marks the store, made if there is none, as recovering: the next start goes on from there. */
export async function recoverControl(dataPath: string): Promise<Recovering> {
  const machineId = await readMachineId();
  await makeDataDirectory(dataPath);
  const { store, contents } = await openSqliteStore({
    path: storePath(dataPath),
    machineId,
    newId: randomUUID,
    acceptCopy: true,
  });
  await using _open = store;
  const { revision, term, restored, copied, records, nodes } = contents;
  const text = JSON.stringify({ kind: "recovery_begun", term, restored, copied });
  await store.commit(
    [
      { kind: "meta", key: metaKeys.recovering, value: "yes" },
      { kind: "audit", atMs: Date.now(), text },
    ],
    revision,
    { urgent: true },
  );
  return { term, datasets: records.size, nodes: nodes.size };
}
