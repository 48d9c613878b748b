import {
  type Arbitrary,
  assert,
  constantFrom,
  integer,
  nat,
  option,
  pre,
  property,
  record as recordOf,
} from "fast-check";
import { expect, test } from "vitest";
import { hasCode } from "../lib/errors.ts";
import { decideSize, defaultSizeBytes, fileSystemBytesMin, type Pool } from "./pool.ts";

const mebibyte = 2 ** 20;

const pools: Arbitrary<Pool> = recordOf({
  sizeBytesStep: integer({ min: 1, max: 4096 * mebibyte }),
  sizeBytesMin: integer({ min: 1, max: 1024 * mebibyte }),
  steps: integer({ min: 1, max: 4096 }),
  defaultSizeBytes: integer({ min: 1, max: 2 ** 45 }),
}).map(({ sizeBytesStep, sizeBytesMin, steps, ...rest }) => ({
  name: "default",
  driver: "memory",
  ...rest,
  capabilities: {
    kind: "attachable",
    exclusive: "enforced",
    fence: "none",
    sizeBytesMin,
    sizeBytesStep,
    sizeBytesMax: (Math.ceil(sizeBytesMin / sizeBytesStep) + steps) * sizeBytesStep,
    attachedMax: 1,
    listDelayMsMax: 0,
    operationMsMax: 0,
  },
}));
const sizes = option(integer({ min: 0, max: 2 ** 45 }), { nil: null });
const fileSystems = constantFrom("ext4", "xfs");

test("a size is at least what was asked for, on a step, inside of the pool's limits", () => {
  assert(
    property(pools, sizes, fileSystems, (pool, asked, fileSystem) => {
      const { sizeBytesMin, sizeBytesMax, sizeBytesStep } = pool.capabilities;
      try {
        const { sizeBytes } = decideSize(asked, pool, fileSystem);
        expect(sizeBytes).toBeGreaterThanOrEqual(asked ?? 0);
        expect(sizeBytes).toBeGreaterThanOrEqual(fileSystemBytesMin[fileSystem]);
        expect(sizeBytes).toBeGreaterThanOrEqual(sizeBytesMin);
        expect(sizeBytes).toBeLessThanOrEqual(sizeBytesMax);
        expect(sizeBytes % sizeBytesStep).toBe(0);
      } catch (error) {
        if (!hasCode(error, "SIZE_OUT_OF_RANGE")) throw error;
      }
    }),
  );
});

test("rounding up is less than a step, and is said", () => {
  assert(
    property(pools, sizes, fileSystems, (pool, asked, fileSystem) => {
      const decision = attempt(() => decideSize(asked, pool, fileSystem));
      pre(decision !== null && asked !== null);
      const { sizeBytes, notice } = decision;
      expect(sizeBytes - asked).toBeLessThan(pool.capabilities.sizeBytesStep);
      expect(notice === null).toBe(sizeBytes === asked);
    }),
  );
});

test("what fits as asked is never refused", () => {
  assert(
    property(pools, nat(4096), fileSystems, (pool, steps, fileSystem) => {
      const { sizeBytesMin, sizeBytesMax, sizeBytesStep } = pool.capabilities;
      const asked = Math.max(1, steps) * sizeBytesStep;
      pre(asked >= Math.max(sizeBytesMin, fileSystemBytesMin[fileSystem]));
      pre(asked <= sizeBytesMax);
      expect(decideSize(asked, pool, fileSystem)).toEqual({ sizeBytes: asked, notice: null });
    }),
  );
});

const pool: Pool = {
  name: "default",
  driver: "loopback",
  defaultSizeBytes,
  capabilities: {
    kind: "attachable",
    exclusive: "advisory",
    fence: "none",
    sizeBytesMin: 1,
    sizeBytesStep: 1024 * mebibyte,
    sizeBytesMax: 16 * 1024 * mebibyte,
    attachedMax: 1,
    listDelayMsMax: 0,
    operationMsMax: 0,
  },
};

test("without a size it is 10 GiB, and the file system's minimum where the default is less", () => {
  expect(decideSize(null, pool, "ext4").sizeBytes).toBe(10 * 1024 * mebibyte);
  const small = { ...pool, defaultSizeBytes: 1 };
  expect(decideSize(null, small, "xfs").sizeBytes).toBe(1024 * mebibyte);
});

test("a refusal names minimum, step and maximum", () => {
  expect(() => decideSize(mebibyte, pool, "xfs")).toThrow(
    "Pool default (loopback, xfs) takes volumes from 314572800 to 17179869184 bytes in steps of " +
      "1073741824; 1048576 bytes were asked for.",
  );
});

function attempt<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}
