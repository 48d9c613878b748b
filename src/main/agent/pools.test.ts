import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { PoolConfig } from "../../agent/config.ts";
import { parseClusterId } from "../../domain/ids.ts";
import { silentLogger } from "../../lib/log.ts";
import { firstToOpen, openPools } from "./pools.ts";

/** A driver that is there once the file at its key `there` is. */
const module = `
import { existsSync } from "node:fs";
const options = { type: "object", properties: { there: { type: "string" } }, required: ["there"] };
const open = async ({ there }) => {
  if (!existsSync(there)) throw new Error("connect ECONNREFUSED 10.0.0.9:443");
  return { capabilities: { kind: "attachable" }, [Symbol.asyncDispose]: async () => {} };
};
export const driver = { name: "shelf", options, open };
`;

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "flocker-pools-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  writeFileSync(join(path, "shelf.mjs"), module);
  return path;
}

function poolAt(path: string, name: string, there: string): PoolConfig {
  const options = { there: join(path, there) };
  return { name, backend: join(path, "shelf.mjs"), defaultSizeBytes: undefined, options };
}

function contextAt(path: string): Parameters<typeof openPools>[1] {
  const clusterId = parseClusterId("00000000-0000-4000-8000-000000000001");
  return { clusterId, runDir: path, dataDir: path, log: silentLogger };
}

test("a driver that is down leaves its pool out, and the others are there", async () => {
  const path = directory();
  await using scope = new AsyncDisposableStack();
  const configured = [poolAt(path, "down", "later"), poolAt(path, "up", "shelf.mjs")];

  const { pools, leftOut } = await openPools(configured, contextAt(path), scope);

  expect(pools.map(({ name }) => name)).toEqual(["up"]);
  expect(leftOut).toEqual([
    { config: configured[0], message: "connect ECONNREFUSED 10.0.0.9:443" },
  ]);
});

test("a key that is wrong is said instead", async () => {
  const path = directory();
  await using scope = new AsyncDisposableStack();
  const wrong = { ...poolAt(path, "down", "later"), options: { where: "here" } };

  const opening = openPools([wrong], contextAt(path), scope);

  await expect(opening).rejects.toMatchObject({ code: "CONFIGURATION_INVALID" });
});

test("a pool that was left out is tried again until it can be opened", async () => {
  const path = directory();
  const config = poolAt(path, "down", "later");
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  let tries = 0;
  const log = {
    ...silentLogger,
    info: () => {
      tries += 1;
    },
  };

  const opened = firstToOpen(
    [{ config, message: "" }],
    { ...contextAt(path), log },
    {
      signal: abort.signal,
      everyMs: 5,
    },
  );
  writeFileSync(join(path, "later"), "");

  expect(await opened).toBe("down");
  expect(tries).toBe(1);
});
