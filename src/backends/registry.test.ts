import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseClusterId } from "../domain/ids.ts";
import { silentLogger } from "../lib/log.ts";
import { findDriver, openBackend } from "./registry.ts";

const context = {
  clusterId: parseClusterId(randomUUID()),
  pool: "default",
  runDir: "/nonexistent/run",
  dataDir: "/nonexistent/data",
  log: silentLogger,
};

function open(options: Readonly<Record<string, unknown>>): Promise<unknown> {
  return openBackend({ backend: "loopback", options }, context);
}

describe("the registry of drivers", () => {
  test("names what is built in when a backend is unknown", async () => {
    await expect(findDriver("zfs-next")).rejects.toThrow(
      "Configuration error: 'zfs-next' is neither a built-in plugin nor a 3rd party module. Built in: btrfs, loopback.",
    );
    await expect(findDriver("constructor")).rejects.toThrow("is neither a built-in plugin");
  });

  test("checks a driver's keys before anything is opened", async () => {
    await expect(open({ root: "/x" })).rejects.toThrow(
      "Backend loopback has no key root. Its keys are: root_path.",
    );
    await expect(open({ root_path: 7 })).rejects.toThrow(
      "Key root_path of backend loopback must be string.",
    );
    await expect(open({ root_path: "relative" })).rejects.toThrow("Key root_path of backend");
  });

  test("takes a driver from any module that exports one", async () => {
    const directory = mkdtempSync(join(tmpdir(), "flocker-driver-"));
    const own = join(directory, "own.mjs");
    const empty = join(directory, "empty.mjs");
    const wrong = join(directory, "wrong.mjs");
    const required = "{ properties: { region: {} }, required: ['region'], type: 'object' }";
    writeFileSync(own, `export const driver = { name: "own", options: ${required}, open() {} };`);
    writeFileSync(empty, "export const other = 1;");
    writeFileSync(wrong, "export const driver = { name: 1 };");

    try {
      expect((await findDriver(own)).name).toBe("own");
      await expect(openBackend({ backend: own, options: {} }, context)).rejects.toThrow(
        "Configuration error: Required key region is missing.",
      );
      await expect(findDriver(empty)).rejects.toThrow("driver` is not defined.");
      await expect(findDriver(wrong)).rejects.toThrow("must have name, options and open.");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
