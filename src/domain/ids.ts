import type { Brand } from "../lib/brand.ts";
import { FlockerError } from "../lib/errors.ts";

export type DatasetId = Brand<string, "DatasetId">;
export type NodeId = Brand<string, "NodeId">;
export type ClusterId = Brand<string, "ClusterId">;
/** The token of one operation on storage: given to the backend, found again by it. */
export type OpId = Brand<string, "OpId">;
/** What a backend calls its volume. Opaque; equal text means the same volume. */
export type VolumeRef = Brand<string, "VolumeRef">;
/** `/proc/sys/kernel/random/boot_id` of one boot of one node: the era of its claims. */
export type BootId = Brand<string, "BootId">;

/** Version 4 only, as the original's schemas; upper case is accepted in input. */
const uuid4 = /^[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}$/;
const anyUuid = /^[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}$/;

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- one parser for each brand
function parse<Id extends string>(pattern: RegExp, what: string, text: string): Id {
  const lower = text.toLowerCase();
  if (!pattern.test(lower)) {
    throw new FlockerError("INVALID_ARGUMENT", `not ${what}: ${text.slice(0, 64)}`);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is minted here
  return lower as Id;
}

/** The only way text becomes a `DatasetId`; returned in lower case. */
export function parseDatasetId(text: string): DatasetId {
  return parse<DatasetId>(uuid4, "a dataset id (UUID version 4)", text);
}

export function parseNodeId(text: string): NodeId {
  return parse<NodeId>(uuid4, "a node id (UUID version 4)", text);
}

export function parseClusterId(text: string): ClusterId {
  return parse<ClusterId>(anyUuid, "a cluster id (UUID)", text);
}

export function parseBootId(text: string): BootId {
  return parse<BootId>(anyUuid, "a boot id (UUID)", text);
}

export function parseOpId(text: string): OpId {
  return parse<OpId>(anyUuid, "an operation id (UUID)", text);
}

export function parseVolumeRef(text: string): VolumeRef {
  if (text.length === 0 || text.length > 512) {
    throw new FlockerError("INVALID_ARGUMENT", "a volume's reference has 1 to 512 characters");
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is minted here
  return text as VolumeRef;
}
