import type { DatasetId, NodeId, OpId } from "./ids.ts";
import type { DatasetRecord, FileSystem, Reclaim } from "./record.ts";

export type NewDataset = {
  readonly datasetId: DatasetId;
  readonly metadata: Readonly<Record<string, string>>;
  readonly maximumSizeBytes: number | null;
  readonly sizeBytes: number;
  readonly notice: string | null;
  readonly pool: string;
  readonly poolKind: "attachable" | "local";
  readonly fileSystem: FileSystem | null;
  readonly from?: DatasetRecord["from"];
  readonly reclaim: Reclaim;
  readonly primary: NodeId;
  readonly atMs: number;
  readonly lineage: OpId;
};

/** The record of a dataset that was just asked for: no generation, no volume, no claim. */
export function newRecord({ atMs, ...given }: NewDataset): DatasetRecord {
  return {
    from: null,
    ...given,
    revision: 0,
    orderedAtMs: atMs,
    orderOpen: true,
    createdAtMs: atMs,
    deletion: null,
    generation: 0,
    claim: null,
    volume: { kind: "never" },
    formatted: "no",
    copies: [],
    op: null,
    move: null,
    residue: null,
    superseded: [],
    lost: false,
  };
}
