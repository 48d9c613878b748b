import { FlockerError } from "../../lib/errors.ts";
import { type DatasetId, type NodeId, parseDatasetId, parseNodeId } from "../../domain/ids.ts";

export type Asked = {
  /** The variable part of the path. */
  readonly id: string;
  readonly query: Readonly<Record<string, unknown>>;
  /** Bytes of a POST; undefined without any. */
  readonly body: unknown;
};

export type Answer = { readonly status: number; readonly body: unknown };

/** One line of the API's table; `:id` stands for the variable part of the path. */
export type Route = {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly answer: (asked: Asked) => Promise<Answer>;
};

export function ok(body: unknown): Answer {
  return { status: 200, body };
}

export function created(body: unknown): Answer {
  return { status: 201, body };
}

/** In either case; what cannot be an id is one that was never known. */
export function datasetIdOf({ id }: Asked): DatasetId {
  try {
    return parseDatasetId(id);
  } catch (cause) {
    throw new FlockerError("DATASET_NOT_FOUND", "Dataset not found.", { cause });
  }
}

export function nodeIdOf({ id }: Asked): NodeId {
  try {
    return parseNodeId(id);
  } catch (cause) {
    throw new FlockerError("NODE_NOT_FOUND", `Node ${id.slice(0, 64)} not found.`, { cause });
  }
}

/** One of the values of a query parameter, or the first of them without it. */
export function queryOf<Value extends string>(
  { query }: Asked,
  name: string,
  values: readonly [Value, ...Value[]],
): Value {
  const given = query[name];
  if (given === undefined) return values[0];
  const found = values.find((value) => value === given);
  if (found !== undefined) return found;
  throw new FlockerError("INVALID_ARGUMENT", `${name} is one of: ${values.join(", ")}.`);
}
