import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { BootId, ClusterId, DatasetId, NodeId } from "../domain/ids.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import type { Mode } from "../protocol/agent-messages.ts";
import { poolSchema } from "../protocol/agent-schema.ts";
import {
  type DeepReadonly,
  type Same,
  count,
  orNull,
  text,
  uuid,
} from "../protocol/schema-parts.ts";
import type { CoreContents, NodeEntry, UptimeBook } from "./core/state.ts";
import type { StoreContents } from "./store/store.ts";

/** Rows of the store's table `meta`. */
export const metaKeys = {
  /** `yes` from `flocker control recover` until every node was heard. */
  recovering: "recovering",
  clusterId: "cluster_id",
  /** JSON of `UptimeBook`. */
  uptime: "uptime",
} as const;

const bootId = uuid<BootId>();
const nodeEntrySchema = Type.Object({
  nodeId: uuid<NodeId>(),
  fingerprint: text,
  bootId,
  formerBootIds: Type.Array(bootId),
  session: count,
  ackedRevision: count,
  ackedStoreId: text,
  host: text,
  pools: Type.Array(poolSchema),
  removed: Type.Boolean(),
  declaredDead: Type.Boolean(),
  clashWith: orNull(text),
  wentBack: Type.Boolean(),
  unforced: Type.Optional(Type.Array(uuid<DatasetId>())),
});
/** Does not compile when the schema and the type of the core part ways. */
export const nodeEntryIsTheType: Same<
  DeepReadonly<Static<typeof nodeEntrySchema>>,
  NodeEntry
> = true;
const nodeEntry = Compile(nodeEntrySchema);
const uptimeBook = Compile(
  Type.Object({ totalMs: count, marks: Type.Record(Type.String(), count) }),
);

/** What the core starts from. `STORE_FAILED` when an entry of the registry cannot be read. */
export function coreContents(contents: StoreContents, clusterId: ClusterId): CoreContents {
  const { storeId, revision, starts, records, nodes, meta } = contents;
  const recovering = meta.get(metaKeys.recovering) === "yes";
  return {
    storeId,
    clusterId,
    revision,
    starts,
    records: [...records.values()],
    nodes: [...nodes].map(([nodeId, value]) => parseNodeEntry(nodeId, value)),
    recovering,
    everRecovered: meta.has(metaKeys.recovering),
    // A recovery that goes on is the answer to those marks; they go when it ends.
    readOnly: recovering ? null : readOnly(contents),
    uptime: parseUptime(meta.get(metaKeys.uptime)),
  };
}

function readOnly({ restored, copied }: StoreContents): Mode | null {
  if (!restored && !copied) return null;
  const what = copied
    ? "The store is a copy of another control service's: that one may still be running"
    : "The store was restored from a backup or set back: what happened since is not in it";
  return {
    kind: "read_only",
    code: copied ? "TWO_CONTROL_SERVICES" : "STORE_WENT_BACK",
    message:
      `${what}. Nothing is changed before a person says so: stop this control service and run ` +
      "flocker control recover",
  };
}

/** What cannot be read counts from now: things are kept longer, never shorter. */
function parseUptime(json: string | undefined): UptimeBook {
  try {
    const value: unknown = JSON.parse(json ?? "null");
    if (uptimeBook.Check(value)) return value;
  } catch {
    // As if it were not there.
  }
  return { totalMs: 0, marks: {} };
}

function parseNodeEntry(nodeId: NodeId, json: string): NodeEntry {
  try {
    const value: unknown = JSON.parse(json);
    if (nodeEntry.Check(value) && value.nodeId === nodeId) return value;
    const first = nodeEntry.Errors(value)[0];
    throw new Error(`${first?.instancePath ?? ""} ${first?.message ?? "another node's"}`);
  } catch (cause) {
    throw new FlockerError(
      "STORE_FAILED",
      `The store's entry of node ${nodeId} cannot be read: ${messageOf(cause)}. Restore a backup.`,
      { cause, details: { nodeId } },
    );
  }
}
