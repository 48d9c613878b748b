import { describe, expect, test } from "vitest";
import { attachableCases } from "../../src/backends/conformance/attachable-cases.ts";
import { runAttachableCase } from "../../src/backends/conformance/attachable-bench.ts";
import { loopbackBench, loopbackCapabilities } from "./loopback-bench.ts";

describe("conformance loopback", async () => {
  const capabilities = await loopbackCapabilities();
  const fitting = attachableCases.filter(({ needs }) => needs?.(capabilities) ?? true);
  test.each(fitting)("$name", async (item) => {
    await expect(runAttachableCase(item, loopbackBench)).resolves.toBeUndefined();
  });
});
