import { FlockerError } from "../../lib/errors.ts";
import { type NodeId, parseDatasetId, parseNodeId } from "../../domain/ids.ts";
import type { FileSystem, Reclaim } from "../../domain/record.ts";
import type { WantedDataset } from "../core/create.ts";
import type { WantedRescue } from "./control-port.ts";
import { decodeJson, type JsonValue } from "./json-body.ts";
import { isObject, type Schema, schemaErrors } from "./json-schema.ts";

/** Version 4 only, upper case allowed, as in Flocker 1.15. */
const uuid: Schema = {
  kind: "string",
  length: [36, 36],
  pattern: "^[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-4[A-Fa-f0-9]{3}-[89abAB][A-Fa-f0-9]{3}-[A-Fa-f0-9]{12}$",
};
const metadata: Schema = {
  kind: "map",
  entriesMax: 16,
  key: "^.{1,256}$",
  value: { kind: "string", length: [0, 256] },
};
/** Minimum and step are the pool's, so that its refusal can name them. */
const size: Schema = { kind: "integer", orNull: true, maximum: Number.MAX_SAFE_INTEGER };
const fileSystems: readonly FileSystem[] = ["ext4", "xfs"];
const reclaims: readonly Reclaim[] = ["trash", "delete", "retain"];

const configureSchema: Schema = {
  kind: "object",
  required: ["primary"],
  properties: {
    primary: uuid,
    dataset_id: uuid,
    maximum_size: size,
    metadata,
    deleted: { kind: "boolean" },
  },
};
const moveSchema: Schema = { kind: "object", required: [], properties: { primary: uuid } };
const createSchema: Schema = {
  kind: "object",
  required: ["primary"],
  properties: {
    primary: uuid,
    name: { kind: "string" },
    dataset_id: uuid,
    size,
    pool: { kind: "string", length: [1, 128] },
    fs: { kind: "string", oneOf: fileSystems },
    reclaim: { kind: "string", oneOf: reclaims },
    metadata,
  },
};
const declareDeadSchema: Schema = {
  kind: "object",
  required: [],
  properties: { force: { kind: "boolean" } },
};

const restoreSchema: Schema = {
  kind: "object",
  required: [],
  properties: { as: { kind: "string", length: [1, 128] } },
};
const rescueSchema: Schema = {
  kind: "object",
  required: ["node", "name"],
  properties: { node: uuid, name: { kind: "string", length: [1, 128] } },
};

/** The refusal of a body that is JSON but not of the right form: all that is wrong with it. */
export class BodyRefused extends FlockerError {
  readonly errors: readonly string[];

  constructor(errors: readonly string[]) {
    super("INVALID_ARGUMENT", "The provided JSON doesn't match the required schema.");
    this.errors = errors;
  }
}

type Fields = { readonly [key: string]: JsonValue };

function parse(schema: Schema, value: JsonValue): Fields {
  const errors = schemaErrors(schema, value);
  if (errors.length > 0 || !isObject(value)) throw new BodyRefused(errors);
  return value;
}

/** Body of `POST /v1/configuration/datasets`, as Flocker 1.15 had it. */
export function parseConfigure(body: unknown): WantedDataset {
  const fields = parse(configureSchema, decodeJson(body));
  if (fields["deleted"] === true) {
    throw new FlockerError("INVALID_ARGUMENT", "A dataset cannot be created as deleted.");
  }
  return {
    ...identity(fields),
    metadata: texts(fields["metadata"]),
    maximumSizeBytes: numberOrNull(fields["maximum_size"]),
    pool: null,
    fileSystem: null,
    reclaim: null,
  };
}

/** Body of `POST /v1/datasets`: everything that can be asked for. */
export function parseCreate(body: unknown): WantedDataset {
  const fields = parse(createSchema, decodeJson(body));
  const given = texts(fields["metadata"]);
  const name = textOrNull(fields["name"]);
  if (name !== null && given["name"] !== undefined && given["name"] !== name) {
    throw new FlockerError(
      "INVALID_ARGUMENT",
      "`name` and `metadata.name` are the same thing: give one of them, or the same text twice.",
    );
  }
  return {
    ...identity(fields),
    metadata: name === null ? given : { ...given, name },
    maximumSizeBytes: numberOrNull(fields["size"]),
    pool: textOrNull(fields["pool"]),
    fileSystem: fileSystems.find((known) => known === fields["fs"]) ?? null,
    reclaim: reclaims.find((known) => known === fields["reclaim"]) ?? null,
  };
}

/** Body of `POST /v1/configuration/datasets/<id>`: where it should be, or null. */
export function parseMove(body: unknown): NodeId | null {
  const primary = textOrNull(parse(moveSchema, decodeJson(body))["primary"]);
  return primary === null ? null : parseNodeId(primary);
}

/** Body of `POST /v1/nodes/<id>/declare-dead`; none is as good as an empty one. */
export function parseDeclareDead(body: unknown): { readonly force: boolean } {
  if (isEmpty(body)) return { force: false };
  return { force: parse(declareDeadSchema, decodeJson(body))["force"] === true };
}

/** Body of `POST /v1/trash/<id>/restore`: another name, or null. */
export function parseRestore(body: unknown): string | null {
  return isEmpty(body) ? null : textOrNull(parse(restoreSchema, decodeJson(body))["as"]);
}

/** Body of `POST /v1/datasets/<id>/rescue`. */
export function parseRescue(body: unknown): WantedRescue {
  const fields = parse(rescueSchema, decodeJson(body));
  return {
    node: parseNodeId(textOrNull(fields["node"]) ?? ""),
    name: textOrNull(fields["name"]) ?? "",
  };
}

function isEmpty(body: unknown): boolean {
  return !(body instanceof Uint8Array) || body.length === 0;
}

function identity(fields: Fields): Pick<WantedDataset, "datasetId" | "primary"> {
  const datasetId = textOrNull(fields["dataset_id"]);
  return {
    datasetId: datasetId === null ? null : parseDatasetId(datasetId),
    primary: parseNodeId(textOrNull(fields["primary"]) ?? ""),
  };
}

function textOrNull(value: JsonValue | undefined): string | null {
  return typeof value === "string" ? value : null;
}

function numberOrNull(value: JsonValue | undefined): number | null {
  return typeof value === "number" ? value : null;
}

function texts(value: JsonValue | undefined): Readonly<Record<string, string>> {
  if (value === undefined || !isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => [key, typeof text === "string" ? text : ""]),
  );
}
