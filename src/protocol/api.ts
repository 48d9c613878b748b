/**
 * The bodies of the REST API (port 4523), as the control service sends and the client checks them.
 * Unknown fields of an answer are ignored: a newer control service may say more.
 *
 * | request | body | answer |
 * |---|---|---|
 * | `GET /v1/version` | | `versionAnswer` |
 * | `GET /v1/configuration/datasets` | | `configuredDatasets` |
 * | `POST /v1/configuration/datasets` | `configureDataset` | `configuredDataset` |
 * | `POST /v1/configuration/datasets/<id>` | `moveDataset` | `configuredDataset` |
 * | `DELETE /v1/configuration/datasets/<id>[?purge=true]` | | `configuredDataset` |
 * | `GET /v1/state/datasets` | | `observedDatasets` |
 * | `GET /v1/state/nodes` | | `observedNodes` |
 * | `GET /v1/state/nodes/by_era/<era>` | | `nodeOfEra` |
 * | `GET /v1/datasets?limit=&after=` | | `datasetPage` |
 * | `POST /v1/datasets` | `createDataset` | `datasetView` |
 * | `GET /v1/datasets/<id>` | | `datasetView` |
 * | `POST /v1/datasets/<id>/rescue` | `rescueCopy` | `datasetView` of the new dataset |
 * | `GET /v1/copies?limit=&after=` | | `copiesPage` |
 * | `GET /v1/trash?limit=&after=` | | `trashPage` |
 * | `POST /v1/trash/<id>/restore` | `restoreDataset` or none | `datasetView` |
 * | `POST /v1/trash/<id>/purge` | none | `datasetView` |
 * | `GET /v1/nodes` | | `nodeList` |
 * | `POST /v1/nodes/<id>/declare-dead` | `declareDead` | `declaredDead` |
 * | `POST /v1/nodes/<id>/remove`, `…/replace` | none | `nodeView` |
 *
 * Any failure is answered with `errorBody`.
 */
import { type Static, type TSchema, Type } from "typebox";

const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const uuid = Type.String({ minLength: 36, maxLength: 36 });
const metadata = Type.Record(Type.String(), Type.String());
const count = Type.Integer({ minimum: 0 });
/** An instant as ISO 8601 in UTC. */
const instant = Type.String();

export const versionAnswer = Type.Object({ flocker: Type.String() });
export type VersionAnswer = Static<typeof versionAnswer>;

/** What was asked for; the shape of Flocker 1.15. `maximum_size` only if a size was given. */
export const configuredDataset = Type.Object({
  dataset_id: uuid,
  primary: uuid,
  metadata,
  deleted: Type.Boolean(),
  maximum_size: Type.Optional(Type.Integer()),
});
export type ConfiguredDataset = Static<typeof configuredDataset>;
export const configuredDatasets = Type.Array(configuredDataset);

export const configureDataset = Type.Object(
  {
    primary: uuid,
    dataset_id: Type.Optional(uuid),
    maximum_size: Type.Optional(nullable(Type.Integer())),
    metadata: Type.Optional(metadata),
    deleted: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type ConfigureDataset = Static<typeof configureDataset>;

export const moveDataset = Type.Object(
  { primary: Type.Optional(uuid) },
  { additionalProperties: false },
);

/** What agents report; `primary` and `path` only where it is mounted. */
export const observedDataset = Type.Object({
  dataset_id: uuid,
  primary: Type.Optional(uuid),
  path: Type.Optional(Type.String()),
  maximum_size: Type.Optional(Type.Integer()),
});
export type ObservedDataset = Static<typeof observedDataset>;
export const observedDatasets = Type.Array(observedDataset);

export const observedNode = Type.Object({ host: Type.String(), uuid });
export type ObservedNode = Static<typeof observedNode>;
export const observedNodes = Type.Array(observedNode);

export const nodeOfEra = Type.Object({ uuid });

/** Why something is not as it should be, in words a person can act on. */
export const conditionView = Type.Object({
  code: Type.String(),
  message: Type.String(),
  since: instant,
  attempt: count,
  next_retry: nullable(instant),
  severity: Type.Union([Type.Literal("pending"), Type.Literal("error"), Type.Literal("warning")]),
});
export type ConditionView = Static<typeof conditionView>;

export const datasetPhases = [
  "attached",
  "pending",
  "detached",
  "moving",
  "deleting",
  "trashed",
  "error",
] as const;

/** The stream that comes in at the target of a move right now. */
export const progressView = Type.Object({
  /** The bulk while it is in use, or the rest after the seal. */
  stage: Type.Union([Type.Literal("base"), Type.Literal("delta")]),
  bytes: count,
  /** As the source estimates it; null when it cannot. */
  total: nullable(count),
  bytes_per_second: count,
  /** When it will be over at this rate. */
  ends: nullable(instant),
});

export type ProgressView = Static<typeof progressView>;

/** A dataset of a pool on nodes' own disks, on its way to another node. */
export const moveView = Type.Object({
  id: Type.String(),
  source: uuid,
  target: uuid,
  /** `precopy` and `copied`: the source may use it. `sealed`: nobody does. */
  phase: Type.Union([Type.Literal("precopy"), Type.Literal("copied"), Type.Literal("sealed")]),
  since: instant,
  progress: nullable(progressView),
});
export type MoveView = Static<typeof moveView>;

/** Only `live` is ever used; a diverged one is kept for a person. */
export const copyView = Type.Object({
  node: uuid,
  role: Type.Union([
    Type.Literal("live"),
    Type.Literal("fallback"),
    Type.Literal("replica"),
    Type.Literal("diverged"),
  ]),
  generation: count,
  /** When it became what it is. */
  since: instant,
  /** Its node reported it durable. */
  settled: Type.Boolean(),
  /** Its node is removing it. */
  discarding: Type.Boolean(),
});
export type CopyView = Static<typeof copyView>;

/** Configuration, claim, volume, progress and condition of one dataset, joined. */
export const datasetView = Type.Object({
  dataset_id: uuid,
  name: nullable(Type.String()),
  metadata,
  primary: uuid,
  /** As it was given; null if none was. */
  maximum_size: nullable(Type.Integer()),
  /** What it has: the default or the rounded size. */
  size: count,
  pool: Type.String(),
  fs: Type.String(),
  reclaim: Type.String(),
  deleted: Type.Boolean(),
  phase: Type.Enum([...datasetPhases]),
  /** Who has it. */
  node: nullable(uuid),
  /** Where containers see it on `node`. */
  path: nullable(Type.String()),
  claim: nullable(Type.Object({ node: uuid, generation: count, phase: Type.String() })),
  volume: Type.Object({ kind: Type.String(), ref: nullable(Type.String()) }),
  formatted: Type.Boolean(),
  op: nullable(Type.Object({ id: Type.String(), kind: Type.String(), node: nullable(uuid) })),
  move: nullable(moveView),
  /** Where a dataset of a local pool has copies; empty for others. */
  copies: Type.Array(copyView),
  /** The copy of another dataset that it was made of. */
  from: nullable(Type.Object({ dataset_id: uuid, node: uuid })),
  /** Who uses it now: ids of Docker's mounts. */
  users: Type.Array(Type.Object({ id: Type.String(), container: nullable(Type.String()) })),
  /** What was done differently from what was asked, for example a rounded size. */
  notice: nullable(Type.String()),
  condition: nullable(conditionView),
  revision: count,
});
export type DatasetView = Static<typeof datasetView>;

export const datasetPageLimitMax = 1000;
/** `next` is the `after` of the next page; null on the last one. */
export const datasetPage = Type.Object({
  datasets: Type.Array(datasetView),
  next: nullable(Type.String()),
});
export type DatasetPage = Static<typeof datasetPage>;

/** Everything that can be asked of a new dataset; `size` in bytes, without it the pool's default. */
export const createDataset = Type.Object(
  {
    primary: uuid,
    name: Type.Optional(Type.String()),
    dataset_id: Type.Optional(uuid),
    size: Type.Optional(Type.Integer()),
    pool: Type.Optional(Type.String()),
    fs: Type.Optional(Type.String()),
    reclaim: Type.Optional(Type.String()),
    metadata: Type.Optional(metadata),
  },
  { additionalProperties: false },
);
export type CreateDataset = Static<typeof createDataset>;

/** A dataset with copies on nodes' own disks. */
export const copiesView = Type.Object({
  dataset_id: uuid,
  name: nullable(Type.String()),
  deleted: Type.Boolean(),
  copies: Type.Array(copyView),
});
export type CopiesView = Static<typeof copiesView>;

export const copiesPage = Type.Object({
  datasets: Type.Array(copiesView),
  next: nullable(Type.String()),
});
export type CopiesPage = Static<typeof copiesPage>;

/** A deleted dataset whose volume is still there. */
export const trashView = Type.Object({
  dataset_id: uuid,
  name: nullable(Type.String()),
  size: count,
  pool: Type.String(),
  primary: uuid,
  /** `retained` ones stay until a person purges them, and cannot be restored. */
  phase: Type.Union([Type.Literal("trashed"), Type.Literal("retained")]),
  deleted: instant,
  /** When it is destroyed, at the earliest; null for ever. */
  purged: nullable(instant),
});
export type TrashView = Static<typeof trashView>;

export const trashPage = Type.Object({
  datasets: Type.Array(trashView),
  next: nullable(Type.String()),
});
export type TrashPage = Static<typeof trashPage>;

/** `as`: the name that it gets, where its own is taken. */
export const restoreDataset = Type.Object(
  { as: Type.Optional(Type.String()) },
  { additionalProperties: false },
);
export type RestoreDataset = Static<typeof restoreDataset>;

/** A new dataset named `name` is made of the copy on `node`; the copy stays. */
export const rescueCopy = Type.Object(
  { node: uuid, name: Type.String() },
  { additionalProperties: false },
);
export type RescueCopy = Static<typeof rescueCopy>;

export const nodeStatuses = [
  "connected",
  "silent",
  "clash",
  "removed",
  "went_back",
  "dead",
] as const;
export const nodeView = Type.Object({
  uuid,
  host: Type.String(),
  era: nullable(Type.String()),
  status: Type.Enum([...nodeStatuses]),
  pools: Type.Array(
    Type.Object({ name: Type.String(), driver: Type.String(), kind: Type.String() }),
  ),
  last_seen: nullable(instant),
  condition: nullable(conditionView),
});
export type NodeView = Static<typeof nodeView>;

export const nodeList = Type.Object({ nodes: Type.Array(nodeView) });
export type NodeList = Static<typeof nodeList>;

/** `force`: also while the node answers. Only a person may say it. */
export const declareDead = Type.Object(
  { force: Type.Optional(Type.Boolean()) },
  { additionalProperties: false },
);
export type DeclareDead = Static<typeof declareDead>;

/** `overridden`: the datasets whose claims a person's word has ended. */
export const declaredDead = Type.Object({ node: nodeView, overridden: Type.Array(uuid) });
export type DeclaredDead = Static<typeof declaredDead>;

/** Old clients read `description` alone. */
export const errorBody = Type.Object({
  description: Type.String(),
  errors: Type.Optional(Type.Array(Type.String())),
  code: Type.Optional(Type.String()),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  requestId: Type.Optional(Type.String()),
});
export type ErrorBody = Static<typeof errorBody>;
