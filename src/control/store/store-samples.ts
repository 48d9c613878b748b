import { type DatasetId, parseDatasetId, parseNodeId, parseOpId } from "../../domain/ids.ts";
import { newRecord } from "../../domain/new-record.ts";
import type { DatasetRecord } from "../../domain/record.ts";

/** The nth dataset id, node id or operation id of the tests. */
export const sampleUuid = (n: number): string =>
  `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;

export const sampleId = (n: number): DatasetId => parseDatasetId(sampleUuid(n));

export function sampleRecord(n: number, revision: number): DatasetRecord {
  const record = newRecord({
    datasetId: sampleId(n),
    metadata: { name: `sample-${n}` },
    maximumSizeBytes: null,
    sizeBytes: 1 << 30,
    notice: null,
    pool: "default",
    poolKind: "attachable",
    fileSystem: "ext4",
    reclaim: "trash",
    primary: parseNodeId(sampleUuid(0xa)),
    atMs: 1_000,
    lineage: parseOpId(sampleUuid(0xb)),
  });
  return { ...record, revision };
}
