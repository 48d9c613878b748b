import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exec, type ExecResult } from "../../src/lib/exec.ts";
import { run, scratch, succeeds } from "./loop-image.ts";

const guide = "docs/guides/write-a-driver.md";
let stack: AsyncDisposableStack;
let directory: string;

beforeAll(() => {
  stack = new AsyncDisposableStack();
  directory = scratch(stack);
  writeFileSync(join(directory, "shelf.mjs"), exampleOfGuide());
  writeFileSync(join(directory, "shelf.yml"), `root_path: ${directory}/shelf\n`);
});

afterAll(async () => {
  // A driver that is broken on purpose leaves what it did not detach.
  for (const row of run("losetup", "-n", "-O", "NAME,BACK-FILE").split("\n")) {
    const [name = "", file = ""] = row.trim().split(/\s+/);
    if (file.startsWith(directory)) succeeds("losetup", "-d", name);
  }
  await stack.disposeAsync();
});

function exampleOfGuide(): string {
  const blocks = [...readFileSync(guide, "utf8").matchAll(/^```js\n([^]*?)^```$/gm)];
  expect(blocks.length).toBe(1);
  return blocks[0]?.[1] ?? "";
}

function driverTest(...args: readonly string[]): Promise<ExecResult> {
  return exec(process.execPath, ["src/main/flocker.ts", "driver", "test", ...args], {
    deadlineMs: 110_000,
    okStatuses: [1, 2],
  });
}

describe("flocker driver test", () => {
  test("passes the driver of the guide", async () => {
    const config = join(directory, "shelf.yml");

    const { status, stdout } = await driverTest(join(directory, "shelf.mjs"), "--config", config);

    expect(stdout).toMatch(/^\d+ passed, 0 failed, 1 left out\n$/);
    expect(status).toBe(0);
  });

  test("prints sentence, requests and difference of what a broken driver does", async () => {
    const broken = exampleOfGuide().replace("by.node !== to.node || ", "");
    expect(broken).not.toBe(exampleOfGuide());
    writeFileSync(join(directory, "broken.mjs"), broken);
    const config = join(directory, "shelf.yml");

    const { status, stdout } = await driverTest(join(directory, "broken.mjs"), "--config", config);

    expect(status).toBe(1);
    const steals = stdout.slice(stdout.indexOf("FAILED  attach: the holder keeps its device"));
    expect(steals).toContain("attach never steals.");
    expect(steals).toMatch(/here: create\(\{"datasetId":"[^]*there: attach\(/);
    expect(steals).toContain("expected VOLUME_BUSY, but the call succeeded");
  });

  test("says in one sentence that there is no such driver or key, and exits 2 without a name", async () => {
    const unknown = await driverTest("/no/such/driver.mjs");
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toContain("is neither a built-in plugin nor a 3rd party module");
    writeFileSync(join(directory, "wrong.yml"), "root: 1\n");
    const wrong = await driverTest("loopback", "--config", join(directory, "wrong.yml"));
    expect(wrong.stderr).toContain("Backend loopback has no key root.");
    expect((await driverTest()).status).toBe(2);
  });
});
