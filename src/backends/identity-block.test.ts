import { array, assert, boolean, nat, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { parseClusterId, parseDatasetId, parseOpId } from "../domain/ids.ts";
import type { Identity } from "../domain/volume.ts";
import { decodeBlock, encodeSlot, newBlock, slotBytes } from "./identity-block.ts";

const identity = (generation: number): Identity => ({
  clusterId: parseClusterId("9f1cfe3e-7c3a-4f43-9f0e-0c2a3d5c2a11"),
  datasetId: parseDatasetId("1c6bb0d4-8e3b-4b62-8a0e-4a5f0d0c7b22"),
  lineage: parseOpId("5b0b8b4e-0b6c-4d3b-9a55-6a6c8f1f3e33"),
  generation,
});

/** What the kernel does with one write of the next slot. */
function written(block: Buffer, generation: number): Buffer {
  const decoded = decodeBlock(block);
  if (decoded.kind !== "valid") throw new Error(decoded.kind);
  const { slot, counter } = decoded.next;
  const result = Buffer.from(block);
  encodeSlot({ counter, identity: identity(generation) }).copy(result, slot * slotBytes);
  return result;
}

describe("the identity block", () => {
  test("after any number of writes holds the last identity", () => {
    const generations = array(nat(), { minLength: 1, maxLength: 8 });
    assert(
      property(generations, (all) => {
        const block = all.reduce(written, newBlock(identity(0)));

        expect(decodeBlock(block)).toMatchObject({ identity: identity(all.at(-1) ?? 0) });
      }),
      { numRuns: 30 },
    );
  });

  test("a write that is torn anywhere leaves the identity before it, or is complete", () => {
    assert(
      property(nat(6), nat(slotBytes), boolean(), (count, at, fromEnd) => {
        let before = newBlock(identity(0));
        for (let generation = 1; generation <= count; generation += 1) {
          before = written(before, generation);
        }
        const after = written(before, count + 1);
        const start = before.findIndex((byte, index) => byte !== after[index]);
        const slot = Math.floor(start / slotBytes) * slotBytes;
        const torn = Buffer.from(fromEnd ? after : before);
        (fromEnd ? before : after).copy(torn, slot, slot, slot + at);

        const decoded = decodeBlock(torn);

        expect(decoded.kind).toBe("valid");
        if (decoded.kind !== "valid") return;
        expect([count, count + 1]).toContain(decoded.identity.generation);
      }),
    );
  });

  test("zeros are empty, anything else without a valid slot is damaged", () => {
    expect(decodeBlock(Buffer.alloc(2 * slotBytes))).toEqual({ kind: "empty" });
    expect(decodeBlock(Buffer.alloc(0))).toEqual({ kind: "empty" });
    expect(decodeBlock(Buffer.alloc(2 * slotBytes, 0xff))).toEqual({ kind: "damaged" });
    const changed = newBlock(identity(5));
    changed[100] = (changed[100] ?? 0) ^ 1;
    expect(decodeBlock(changed)).toEqual({ kind: "damaged" });
  });
});
