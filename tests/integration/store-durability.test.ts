import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openSqliteStore } from "../../src/control/store/sqlite-store.ts";
import { sampleId } from "../../src/control/store/store-samples.ts";
import type { StoreContents } from "../../src/control/store/store.ts";
import { exec } from "../../src/lib/exec.ts";

const root = mkdtempSync(join(tmpdir(), "flocker-durable-"));
afterAll(() => rmSync(root, { recursive: true }));
const writer = join(import.meta.dirname, "store-writer.ts");

/** Runs the writer until it has acknowledged `acks` more, then kills it with SIGKILL. */
function killedAfter(path: string, acks: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [writer, path], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (acked(text).length >= acks) child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", (_, signal) => {
      if (signal === "SIGKILL") resolve(acked(text).at(-1) ?? 0);
      else reject(new Error(`the writer ended by itself: ${text.slice(-200)}`));
    });
  });
}

function acked(text: string): readonly number[] {
  return [...text.matchAll(/^ack (\d+)\n/gm)].map((match) => Number(match[1]));
}

async function contentsOf(path: string): Promise<StoreContents> {
  const { store, contents } = await openSqliteStore({
    path,
    machineId: "machine-1",
    newId: randomUUID,
    ballastBytes: 4096,
  });
  await store[Symbol.asyncDispose]();
  return contents;
}

test("twenty writers killed with SIGKILL lose no acknowledged commit", async () => {
  const path = join(root, "killed", "control.sqlite");
  for (let round = 1; round <= 20; round += 1) {
    const last = await killedAfter(path, 1 + ((round * 7) % 40));
    const contents = await contentsOf(path);
    expect(contents.revision).toBeGreaterThanOrEqual(last);
    for (let n = 1; n <= last; n += 1) expect(contents.records.has(sampleId(n))).toBe(true);
    expect(contents.records.size).toBe(contents.revision);
    expect([contents.restored, contents.term]).toEqual([false, round * 2]);
  }
});

type Call = { readonly name: string; readonly on: string; readonly line: string };

/** Calls that returned 0 or more, in the order of their return. */
function callsOf(trace: string): readonly Call[] {
  return trace.split("\n").flatMap((line) => {
    const match = /(\w+)\(\d+<([^>]*)>.*= \d+$/.exec(line);
    return match === null ? [] : [{ name: match[1] ?? "", on: match[2] ?? "", line }];
  });
}

test("the sync of the WAL returns before a commit is acknowledged", async () => {
  const path = join(root, "traced", "control.sqlite");
  const trace = join(root, "trace");
  await exec(
    "strace",
    // -ff: a file for each thread, so that no call is cut in two by another's.
    `-ff -y -o ${trace} -e trace=fsync,fdatasync,write,pwrite64`
      .split(" ")
      .concat(process.execPath, writer, path, "25"),
    { deadlineMs: 60_000 },
  );
  const files = await exec("sh", ["-c", `grep -l 'ack 1' ${trace}.*`], { deadlineMs: 5_000 });
  let written = 0;
  let synced = 0;
  const atAck: (readonly [unsynced: number, synced: boolean])[] = [];
  for (const { name, on, line } of callsOf(readFileSync(files.stdout.trim(), "utf8"))) {
    const isWal = on === `${path}-wal`;
    if (isWal && name === "pwrite64") written += 1;
    if (isWal && /^f(?:data)?sync$/.test(name)) [synced, written] = [synced + 1, 0];
    if (/"ack \d+/.test(line)) {
      atAck.push([written, synced > 0]);
      synced = 0;
    }
  }
  expect(atAck).toEqual(Array.from({ length: 25 }, () => [0, true]));
});

test("a failed sync is STORE_FAILED for good, and the next start serves what was acknowledged", async () => {
  const path = join(root, "failing", "control.sqlite");
  await contentsOf(path);
  const { stdout } = await exec(
    "strace",
    `-f -o /dev/null -P ${path}-wal -e trace=fdatasync,fsync -e inject=fdatasync,fsync:error=EIO:when=9+`
      .split(" ")
      .concat(process.execPath, writer, path),
    { deadlineMs: 60_000 },
  );
  const last = acked(stdout).at(-1) ?? 0;
  expect(last).toBeGreaterThan(0);
  expect(stdout).toContain(`failed ${last + 1} STORE_FAILED`);
  expect(stdout).toContain("again refused");
  const witness = readFileSync(`${path}.witness`, "utf8");
  expect(witness).toContain('"clean":false');
  const contents = await contentsOf(path);
  for (let n = 1; n <= last; n += 1) expect(contents.records.has(sampleId(n))).toBe(true);
});
