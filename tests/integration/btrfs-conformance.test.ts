import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { localCases } from "../../src/backends/conformance/local-cases.ts";
import { runLocalCase } from "../../src/backends/conformance/local-bench.ts";
import { btrfsBench } from "./btrfs-bench.ts";

describe("conformance btrfs", () => {
  let bench: Awaited<ReturnType<typeof btrfsBench>>;

  beforeAll(async () => {
    bench = await btrfsBench();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  // Two pools serve all cases, each of which has datasets of its own.
  const shared = async (): Promise<typeof bench> => ({
    ...bench,
    [Symbol.asyncDispose]: async () => {},
  });

  test.each(localCases)("$name", async (item) => {
    await expect(runLocalCase(item, shared)).resolves.toBeUndefined();
  });
});
