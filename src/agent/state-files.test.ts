import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseDatasetId } from "../domain/ids.ts";
import { silentLogger } from "../lib/log.ts";
import type { ClusterFile } from "./core/effects.ts";
import { StateFiles } from "./state-files.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "flocker-state-"));
});
afterAll(() => rm(directory, { recursive: true }));

const id = parseDatasetId("11111111-1111-4111-8111-111111111111");

function file(revision: number): ClusterFile {
  return {
    seen: { storeId: "s", term: 1, instance: "i", revision },
    names: [{ name: "db", datasetId: id }],
    nodes: [],
    generations: [[id, revision]],
    records: [],
  };
}

function filesIn(name: string): StateFiles {
  const [dataDir, runDir] = [join(directory, name), join(directory, `${name}.run`)];
  return new StateFiles({ dataDir, runDir, log: silentLogger, retryMs: 5 });
}

test("what was saved is loaded by the next process; before the first save there is nothing", async () => {
  expect(await filesIn("a").loadCluster()).toBeNull();
  await filesIn("a").saveCluster(file(7));
  await filesIn("a").saveRun({ records: [], users: [[id, ["mount-1"]]], ended: [[id, 3]] });

  expect(await filesIn("a").loadCluster()).toEqual(file(7));
  expect(await filesIn("a").loadRun()).toEqual({
    records: [],
    users: [[id, ["mount-1"]]],
    ended: [[id, 3]],
  });
});

test("of writes that wait for each other the newest stays, and each is answered", async () => {
  const files = filesIn("b");
  await Promise.all([1, 2, 3, 4].map((revision) => files.saveCluster(file(revision))));

  expect((await files.loadCluster())?.seen?.revision).toBe(4);
});

test("a file of another shape is refused in one sentence, and stays as it is", async () => {
  const files = filesIn("c");
  await files.saveCluster(file(1));
  const path = join(directory, "c", "cluster.json");
  for (const content of ['{"seen":3}', "{", ""]) {
    await writeFile(path, content);
    await expect(files.loadCluster()).rejects.toThrow(/cluster\.json cannot be read: .*Move it/);
    expect(await readFile(path, "utf8")).toBe(content);
  }
});

test("on a full disk it waits for room: nothing is told as stored before it is", async () => {
  const files = filesIn("full");
  await files.saveCluster(file(1));
  const path = join(directory, "full", "cluster.json");
  // Every write(2) to /dev/full is ENOSPC.
  await symlink("/dev/full", `${path}.new`);
  let stored = 0;
  const written = [2, 3].map(async (revision) => {
    await files.saveCluster(file(revision));
    stored += 1;
  });
  await expect(Promise.race([...written, sleep(50, "late")])).resolves.toBe("late");

  expect(stored).toBe(0);
  expect((await files.loadCluster())?.seen?.revision).toBe(1);
  await rm(`${path}.new`);
  await Promise.all(written);
  expect((await files.loadCluster())?.seen?.revision).toBe(3);
});
