import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import { FlockerError, messageOf } from "../lib/errors.ts";
import type { BootId, DatasetId, NodeId, OpId, VolumeRef } from "../domain/ids.ts";
import type { DatasetRecord } from "../domain/record.ts";
import { type DeepReadonly, type Same, count, oneOf, orNull, text, uuid } from "./schema-parts.ts";

// Branded here: the database holds only what a parser of domain/ids.ts let in.
const datasetId = uuid<DatasetId>();
const nodeId = uuid<NodeId>();
const bootId = uuid<BootId>();
const opId = uuid<OpId>();
const volumeRef = Type.Unsafe<VolumeRef>(Type.String({ minLength: 1, maxLength: 512 }));
const shape = <Properties extends Parameters<typeof Type.Object>[0]>(properties: Properties) =>
  Type.Object(properties, { additionalProperties: false });

const reclaim = oneOf("trash", "delete", "retain");

/** What a dataset's record looks like on disk: JSON of exactly these members. */
export const recordSchema = shape({
  datasetId,
  revision: count,
  metadata: Type.Record(text, text),
  maximumSizeBytes: orNull(count),
  sizeBytes: count,
  notice: orNull(text),
  pool: text,
  poolKind: oneOf("attachable", "local"),
  fileSystem: orNull(oneOf("ext4", "xfs")),
  reclaim,
  primary: nodeId,
  orderedAtMs: Type.Number(),
  orderOpen: Type.Boolean(),
  createdAtMs: Type.Number(),
  deletion: orNull(
    shape({
      atMs: Type.Number(),
      reclaim,
      phase: oneOf("deleting", "trashed", "retained", "gone"),
    }),
  ),
  generation: count,
  claim: orNull(
    shape({
      node: nodeId,
      era: bootId,
      generation: count,
      phase: oneOf("granted", "taken", "releasing"),
      before: orNull(
        shape({
          primary: nodeId,
          orderedAtMs: Type.Number(),
          orderOpen: Type.Optional(Type.Boolean()),
        }),
      ),
    }),
  ),
  volume: Type.Union([
    shape({ kind: Type.Literal("never") }),
    shape({ kind: Type.Literal("creating"), op: opId }),
    shape({ kind: Type.Literal("exists"), ref: volumeRef, sizeBytes: count }),
    shape({ kind: Type.Literal("gone") }),
  ]),
  formatted: oneOf("no", "yes"),
  lineage: opId,
  copies: Type.Array(
    shape({
      node: nodeId,
      role: oneOf("live", "fallback", "replica", "diverged"),
      generation: count,
      sinceMs: Type.Number(),
      settled: Type.Boolean(),
      discarding: Type.Boolean(),
    }),
  ),
  op: orNull(
    shape({
      id: opId,
      kind: oneOf("force_detach", "destroy"),
      target: orNull(nodeId),
      executor: orNull(shape({ node: nodeId, era: bootId, session: count })),
      vanishedAtMs: orNull(Type.Number()),
    }),
  ),
  move: orNull(
    shape({
      id: opId,
      source: nodeId,
      target: nodeId,
      phase: oneOf("precopy", "copied", "sealed"),
      generation: count,
      openedAtMs: Type.Number(),
    }),
  ),
  residue: orNull(nodeId),
  superseded: Type.Array(nodeId),
  from: orNull(shape({ datasetId, node: nodeId })),
  lost: Type.Boolean(),
});

type OnDisk = DeepReadonly<Static<typeof recordSchema>>;
/** Does not compile when the schema and the type of the domain part ways. */
export const schemaIsTheType: readonly [
  Same<OnDisk, DatasetRecord>,
  Same<keyof OnDisk, keyof DatasetRecord>,
] = [true, true];

const compiled = Compile(recordSchema);

/** A record as it stands on disk; anything else is `STORE_FAILED` naming the dataset and member. */
export function parseRecord(id: string, json: string): DatasetRecord {
  const refuse = (why: string): FlockerError =>
    new FlockerError(
      "STORE_FAILED",
      `The store's record of dataset ${id} cannot be read: ${why}. Restore a backup.`,
      { details: { datasetId: id } },
    );
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw refuse(messageOf(error));
  }
  if (!compiled.Check(value)) {
    const first = compiled.Errors(value)[0];
    throw refuse(`${first?.instancePath ?? ""} ${first?.message ?? "does not fit"}`);
  }
  if (value.datasetId !== id) throw refuse(`it says that it is ${value.datasetId}`);
  return value;
}
