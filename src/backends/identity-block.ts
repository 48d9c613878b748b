import { createHash } from "node:crypto";
import { parseClusterId, parseDatasetId, parseOpId } from "../domain/ids.ts";
import type { Identity } from "../domain/volume.ts";
import { FlockerError } from "../lib/errors.ts";

/**
 * The identity of a volume, beside `data/`: two slots of 4 KiB with a counter and a checksum,
 * overwritten in place in turn. A torn write spoils at most the slot that was being written, and
 * the other one still holds the identity before it. Text, so that a person can read it with `cat`.
 */
export const slotBytes = 4096;
export const identityFile = "identity";
const magic = "flocker-identity-1";

export type SlotContent = { readonly counter: number; readonly identity: Identity };

/** The 4 KiB of one slot; the identity comes from a claim, the counter from `decodeBlock`. */
export function encodeSlot({ counter, identity }: SlotContent): Buffer {
  const { clusterId, datasetId, lineage, generation } = identity;
  const body = `${magic}\n${JSON.stringify({ counter, clusterId, datasetId, lineage, generation })}\n`;
  const slot = Buffer.alloc(slotBytes);
  slot.write(`${body}${checksum(body)}\n`, "utf8");
  return slot;
}

/** Null for a slot that was never written, is torn or damaged. */
export function decodeSlot(slot: Buffer): SlotContent | null {
  const [first, json, sum] = slot.toString("latin1").split("\n");
  if (first !== magic || json === undefined || sum === undefined) return null;
  if (sum !== checksum(`${first}\n${json}\n`)) return null;
  try {
    return parseBody(JSON.parse(json));
  } catch {
    return null; // Well-formed but with ids that are none: as damaged as a wrong checksum.
  }
}

function parseBody(value: unknown): SlotContent | null {
  if (typeof value !== "object" || value === null) return null;
  const body: Readonly<Record<string, unknown>> = { ...value };
  const { counter, generation } = body;
  if (!isCount(counter) || !isCount(generation)) return null;
  return {
    counter,
    identity: {
      clusterId: parseClusterId(String(body["clusterId"])),
      datasetId: parseDatasetId(String(body["datasetId"])),
      lineage: parseOpId(String(body["lineage"])),
      generation,
    },
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

export type Block =
  /** Nothing was ever written (mkfs did not get that far). */
  | { readonly kind: "empty" }
  | { readonly kind: "damaged" }
  | {
      readonly kind: "valid";
      readonly identity: Identity;
      /** What to write next, and into which of the two slots. */
      readonly next: { readonly slot: 0 | 1; readonly counter: number };
    };

/** Both slots as they stand in the file; the valid one with the higher counter holds. */
export function decodeBlock(block: Buffer): Block {
  if (block.every((byte) => byte === 0)) return { kind: "empty" };
  const first = decodeSlot(block.subarray(0, slotBytes));
  const second = decodeSlot(block.subarray(slotBytes, 2 * slotBytes));
  const newest = [first, second].reduce(
    (best, slot) => (slot !== null && slot.counter > (best?.counter ?? -1) ? slot : best),
    null,
  );
  if (newest === null) return { kind: "damaged" };
  return {
    kind: "valid",
    identity: newest.identity,
    next: { slot: newest === first ? 1 : 0, counter: newest.counter + 1 },
  };
}

/** The whole file as mkfs makes it: the first slot written, the second still free. */
export function newBlock(identity: Identity): Buffer {
  return Buffer.concat([encodeSlot({ counter: 1, identity }), Buffer.alloc(slotBytes)]);
}

/** Ids equal and marker not above the claim, or nothing is mounted. */
export function checkStamp(found: Identity, claimed: Identity): void {
  if (found.clusterId !== claimed.clusterId || found.datasetId !== claimed.datasetId) {
    throw rejected(
      "IDENTITY_MISMATCH",
      `The volume of dataset ${claimed.datasetId} bears the identity of dataset ` +
        `${found.datasetId} of cluster ${found.clusterId}. Nothing was mounted.`,
    );
  }
  if (found.lineage !== claimed.lineage) {
    throw rejected(
      "IDENTITY_MISMATCH",
      `The volume of dataset ${claimed.datasetId} descends from mkfs ${found.lineage}, its record ` +
        `from ${claimed.lineage}. Nothing was mounted.`,
    );
  }
  if (found.generation > claimed.generation) {
    throw rejected(
      "STALE_CLAIM",
      `The volume of dataset ${claimed.datasetId} was used under generation ${found.generation}, ` +
        `newer than this node's claim (${claimed.generation}). Nothing was mounted.`,
    );
  }
}

/** A refusal before anything was mounted; `condition` is what people see of it. */
export function rejected(
  condition: "IDENTITY_MISMATCH" | "STALE_CLAIM",
  message: string,
): FlockerError {
  return new FlockerError("BACKEND_REJECTED", message, { details: { condition } });
}

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
