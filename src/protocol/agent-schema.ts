import { type Static, type TSchema, Type } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { type ConditionCode, conditionCodes } from "../domain/condition.ts";
import type { BootId, ClusterId, DatasetId, NodeId, OpId, VolumeRef } from "../domain/ids.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import type { AgentMessage, ControlMessage } from "./agent-messages.ts";
import { recordSchema } from "./record-schema.ts";
import { type DeepReadonly, type Same, count, oneOf, orNull, text, uuid } from "./schema-parts.ts";

/** Where an agent opens its WebSocket on the agents' port. */
export const agentPath = "/v1/agent";

const datasetId = uuid<DatasetId>();
const nodeId = uuid<NodeId>();
const opId = uuid<OpId>();
const volumeRef = Type.Unsafe<VolumeRef>(Type.String({ minLength: 1, maxLength: 512 }));
const line = Type.String({ maxLength: 4_096 });
const list = <Schema extends TSchema>(schema: Schema) => Type.Array(schema, { maxItems: 100_000 });
/** A wish outlives no Mount: the engine gives up after 120 s. */
const waitMs = Type.Number({ minimum: -600_000, maximum: 600_000 });

const capabilities = Type.Object({
  kind: oneOf("attachable", "local"),
  exclusive: oneOf("enforced", "advisory", "none"),
  fence: oneOf("none", "storage", "power"),
  sizeBytesMin: count,
  sizeBytesStep: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  sizeBytesMax: count,
  attachedMax: count,
  listDelayMsMax: count,
  operationMsMax: count,
});
/** A pool as a node describes it. */
export const poolSchema = Type.Object({
  name: line,
  driver: line,
  capabilities,
  defaultSizeBytes: count,
});

const condition = Type.Object({
  code: Type.Unsafe<ConditionCode>(Type.Enum(Object.keys(conditionCodes))),
  message: Type.String({ maxLength: 16_384 }),
  attempt: count,
  nextRetryMs: orNull(Type.Number()),
});
const storePoint = Type.Object({ storeId: line, term: count, instance: line, revision: count });
const nameEntry = Type.Object({ name: line, datasetId });

const heldCopy = Type.Object({
  kind: oneOf("live", "sealed", "received", "base", "partial", "diverged", "foreign"),
  pool: line,
  generation: orNull(count),
  move: orNull(opId),
});
/** See `PeerAddress`. */
export const peerAddressSchema = Type.Object({ host: line, port: count });

const hello = Type.Object({
  kind: Type.Literal("hello"),
  protocol: Type.Integer(),
  version: line,
  node: nodeId,
  clusterId: uuid<ClusterId>(),
  fingerprint: line,
  bootId: uuid<BootId>(),
  runId: line,
  instance: line,
  address: Type.Object({ host: line, peerPort: count }),
  pools: Type.Array(poolSchema, { maxItems: 1_000 }),
  poolsAway: Type.Array(Type.Object({ name: line, message: line }), { maxItems: 1_000 }),
  seen: orNull(storePoint),
  recordsDigest: line,
  namesDigest: line,
  holdings: list(
    Type.Object({
      datasetId,
      name: orNull(line),
      generation: count,
      mounted: Type.Boolean(),
      claim: orNull(count),
      record: orNull(recordSchema),
      copies: list(heldCopy),
    }),
  ),
  nodes: list(nodeId),
  heldOps: list(opId),
});

const observation = Type.Object({
  datasetId,
  state: line,
  shown: Type.Boolean(),
  path: orNull(line),
  condition: orNull(condition),
  users: list(Type.Object({ id: line, container: orNull(line) })),
  holders: list(
    Type.Object({ pid: orNull(count), command: orNull(line), container: orNull(line) }),
  ),
  usedBytes: orNull(count),
  progress: orNull(
    Type.Object({
      stage: oneOf("base", "delta"),
      bytes: count,
      totalBytes: orNull(count),
      bytesPerSecond: count,
    }),
  ),
  copies: list(heldCopy),
});

const claimMessage = <const Kind extends string>(kind: Kind) =>
  Type.Object({ kind: Type.Literal(kind), datasetId, generation: count });

const report = Type.Union([
  Type.Object({
    kind: Type.Literal("volume_created"),
    op: opId,
    ref: volumeRef,
    sizeBytes: count,
  }),
  Type.Object({
    kind: Type.Literal("formatted"),
    generation: count,
    lineage: Type.Optional(opId),
  }),
  Type.Object({ kind: Type.Literal("released"), generation: count }),
  Type.Object({ kind: Type.Literal("cleared") }),
  Type.Object({ kind: Type.Literal("cut_done") }),
  Type.Object({ kind: Type.Literal("op_done"), op: opId }),
  Type.Object({ kind: Type.Literal("copied"), move: opId }),
  Type.Object({ kind: Type.Literal("sealed"), move: opId, generation: count }),
  Type.Object({ kind: Type.Literal("received"), move: opId }),
  Type.Object({ kind: Type.Literal("settled") }),
  Type.Object({ kind: Type.Literal("discarded") }),
]);

const request = Type.Union([
  Type.Object({
    kind: Type.Literal("create"),
    name: line,
    options: Type.Object({
      sizeBytes: orNull(count),
      pool: orNull(line),
      fileSystem: orNull(oneOf("ext4", "xfs")),
      reclaim: orNull(oneOf("trash", "delete", "retain")),
      profile: orNull(line),
    }),
  }),
  Type.Object({ kind: Type.Literal("remove"), name: line, datasetId: orNull(datasetId) }),
  Type.Object({ kind: Type.Literal("lookup"), name: line }),
]);

/** What an agent may say, by kind; members that are not listed are ignored. */
export const agentMessageSchemas = {
  hello,
  ack: Type.Object({ kind: Type.Literal("ack"), revision: count }),
  observed: Type.Object({ kind: Type.Literal("observed"), observations: list(observation) }),
  wish: Type.Object({
    kind: Type.Literal("wish"),
    datasetId,
    remainingMs: waitMs,
    ageMs: Type.Number(),
  }),
  wish_ended: Type.Object({ kind: Type.Literal("wish_ended"), datasetId }),
  taken: claimMessage("taken"),
  declined: claimMessage("declined"),
  attached_elsewhere: Type.Object({
    kind: Type.Literal("attached_elsewhere"),
    datasetId,
    generation: count,
    node: nodeId,
  }),
  release_begun: claimMessage("release_begun"),
  report: Type.Object({ kind: Type.Literal("report"), datasetId, report }),
  containers: Type.Object({
    kind: Type.Literal("containers"),
    containers: list(
      Type.Object({ id: line, name: line, running: Type.Boolean(), volumes: list(line) }),
    ),
  }),
  local_volumes: Type.Object({ kind: Type.Literal("local_volumes"), names: list(line) }),
  container_started: Type.Object({
    kind: Type.Literal("container_started"),
    id: line,
    name: line,
    volumes: list(line),
  }),
  request: Type.Object({ kind: Type.Literal("request"), id: count, request }),
};

const mode = Type.Union([
  Type.Object({ kind: Type.Literal("normal") }),
  Type.Object({ kind: Type.Literal("read_only"), code: text, message: text }),
  Type.Object({ kind: Type.Literal("recovering"), message: text }),
]);

const answer = Type.Union([
  Type.Object({ kind: Type.Literal("ok"), entry: orNull(nameEntry), notice: orNull(text) }),
  Type.Object({ kind: Type.Literal("error"), code: text, message: text }),
]);

/** What the control service may say, by kind; members that are not listed are ignored. */
export const controlMessageSchemas = {
  welcome: Type.Object({
    kind: Type.Literal("welcome"),
    session: count,
    at: storePoint,
    mode,
    condition: orNull(condition),
    nodes: list(nodeId),
  }),
  refused: Type.Object({ kind: Type.Literal("refused"), code: text, message: text }),
  mode: Type.Object({ kind: Type.Literal("mode"), mode, condition: orNull(condition) }),
  records: Type.Object({
    kind: Type.Literal("records"),
    revision: count,
    all: Type.Boolean(),
    entries: list(
      Type.Object({
        record: recordSchema,
        wantedBy: orNull(nodeId),
        peer: orNull(peerAddressSchema),
      }),
    ),
    removed: list(datasetId),
  }),
  names: Type.Object({
    kind: Type.Literal("names"),
    revision: count,
    all: Type.Boolean(),
    entries: list(nameEntry),
    removed: list(line),
  }),
  nodes: Type.Object({ kind: Type.Literal("nodes"), nodes: list(nodeId) }),
  shadows: Type.Object({
    kind: Type.Literal("shadows"),
    entries: list(Type.Object({ name: line, message: text })),
  }),
  answer: Type.Object({ kind: Type.Literal("answer"), id: count, answer }),
};

type OneOf<Schemas extends Readonly<Record<string, TSchema>>> = DeepReadonly<
  { [Kind in keyof Schemas]: Static<Schemas[Kind]> }[keyof Schemas]
>;
/** Does not compile when a schema and the type of its messages part ways. */
export const schemasAreTheTypes: readonly [
  Same<OneOf<typeof agentMessageSchemas>, AgentMessage>,
  Same<OneOf<typeof controlMessageSchemas>, ControlMessage>,
  Same<keyof typeof agentMessageSchemas, AgentMessage["kind"]>,
  Same<keyof typeof controlMessageSchemas, ControlMessage["kind"]>,
] = [true, true, true, true];

const fromAgent = compiled(agentMessageSchemas);
const fromControl = compiled(controlMessageSchemas);

/** One message of an agent; anything else is `PROTOCOL_ERROR`, naming what does not fit. */
export function parseAgentMessage(json: string): AgentMessage {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `schemasAreTheTypes`
  return parse(fromAgent, json) as AgentMessage;
}

/** One message of the control service; anything else is `PROTOCOL_ERROR`. */
export function parseControlMessage(json: string): ControlMessage {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `schemasAreTheTypes`
  return parse(fromControl, json) as ControlMessage;
}

type ByKind = ReadonlyMap<string, Validator>;

function compiled(schemas: Readonly<Record<string, TSchema>>): ByKind {
  return new Map(Object.entries(schemas).map(([kind, schema]) => [kind, Compile(schema)]));
}

function parse(schemas: ByKind, json: string): unknown {
  const value = parseJson(json);
  const kind = kindOf(value);
  const schema = kind === null ? undefined : schemas.get(kind);
  if (schema === undefined) {
    const what = kind === null ? "without a kind" : `of the unknown kind ${kind.slice(0, 64)}`;
    throw new FlockerError("PROTOCOL_ERROR", `A message ${what} is not understood.`);
  }
  if (schema.Check(value)) return value;
  const first = schema.Errors(value)[0];
  const why = `${first?.instancePath ?? ""} ${first?.message ?? "does not fit"}`.trim();
  throw new FlockerError("PROTOCOL_ERROR", `A message of kind ${kind} is not valid: ${why}.`, {
    details: { kind },
  });
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    const message = `The message is not JSON: ${messageOf(cause)}`;
    throw new FlockerError("PROTOCOL_ERROR", message, { cause });
  }
}

function kindOf(value: unknown): string | null {
  if (typeof value !== "object" || value === null || !("kind" in value)) return null;
  return typeof value.kind === "string" ? value.kind : null;
}
