import { expect, test } from "vitest";
import { a, b, LocalBed } from "./test-core.ts";

test("a dataset of a local pool has the pool's own file system", () => {
  expect(new LocalBed().create()).toMatchObject({ poolKind: "local", fileSystem: null });
});

test("a file system that is asked for in a local pool is refused with a sentence", () => {
  expect(() => new LocalBed().create({ fileSystem: "xfs" })).toThrow(
    "Pool disks (btrfs) keeps data in its own file system: leave the option fs out, or take another " +
      "pool for xfs.",
  );
});

test("sizes of a local pool have the pool's limits alone", () => {
  const bed = new LocalBed();
  expect(() => bed.create({ maximumSizeBytes: 2 ** 20 })).toThrow(/Pool disks \(btrfs\) takes/);
  expect(bed.create({ maximumSizeBytes: 2 ** 26 }).sizeBytes).toBe(2 ** 26);
});

test("a local dataset begins on a node that has the pool", () => {
  const bed = new LocalBed();
  bed.disconnect(a);
  bed.hello(a, { pools: [] });
  expect(() => bed.create()).toThrow(/has no pool named disks, which other nodes have/);
  expect(bed.create({ primary: b }).primary).toBe(b);
});
