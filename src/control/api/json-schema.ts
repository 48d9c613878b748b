import { unreachable } from "../../lib/assert.ts";
import { JsonFloat, JsonLargeInteger, type JsonValue } from "./json-body.ts";

/**
 * What a body must look like. The part of JSON Schema that the original's bodies use, with its
 * rules: lengths count code points, `1.0` is no integer, all errors are found, and the texts are
 * those of python-jsonschema, which old clients log.
 */
export type Schema =
  | {
      readonly kind: "string";
      readonly length?: readonly [minimum: number, maximum: number];
      readonly pattern?: string;
      readonly oneOf?: readonly string[];
    }
  | { readonly kind: "integer"; readonly orNull: boolean; readonly maximum: number }
  | { readonly kind: "boolean" }
  | {
      readonly kind: "object";
      readonly properties: Readonly<Record<string, Schema>>;
      readonly required: readonly string[];
    }
  | {
      readonly kind: "map";
      readonly entriesMax: number;
      readonly key: string;
      readonly value: Schema;
    };

/** What comes from the schema is a `str` of Python 2, what comes from the body `unicode`. */
const typeNames: Readonly<Record<Schema["kind"], string>> = {
  string: "'string'",
  integer: "'integer'",
  boolean: "'boolean'",
  object: "'object'",
  map: "'object'",
};

/** Empty when the value fits. */
export function schemaErrors(schema: Schema, value: JsonValue): readonly string[] {
  switch (schema.kind) {
    case "string":
      return typeof value === "string" ? stringErrors(schema, value) : [wrongType(schema, value)];
    case "integer":
      if (value === null && schema.orNull) return [];
      return typeof value === "number" || value instanceof JsonLargeInteger
        ? integerErrors(schema, value)
        : [wrongType(schema, value)];
    case "boolean":
      return typeof value === "boolean" ? [] : [wrongType(schema, value)];
    case "object":
      return isObject(value) ? objectErrors(schema, value) : [wrongType(schema, value)];
    case "map":
      return isObject(value) ? mapErrors(schema, value) : [wrongType(schema, value)];
    default:
      return unreachable(schema);
  }
}

type Of<Kind extends Schema["kind"]> = Extract<Schema, { readonly kind: Kind }>;
type JsonObject = { readonly [key: string]: JsonValue };

export function isObject(value: JsonValue): value is JsonObject {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof JsonFloat) &&
    !(value instanceof JsonLargeInteger)
  );
}

function wrongType(schema: Schema, value: JsonValue): string {
  const orNull = schema.kind === "integer" && schema.orNull ? ", 'null'" : "";
  return `${python(value)} is not of type ${typeNames[schema.kind]}${orNull}`;
}

function stringErrors({ length, pattern, oneOf }: Of<"string">, value: string): string[] {
  const found: string[] = [];
  const points = length === undefined ? 0 : Array.from(value).length;
  if (length !== undefined && points < length[0]) found.push(`${python(value)} is too short`);
  if (length !== undefined && points > length[1]) found.push(`${python(value)} is too long`);
  if (pattern !== undefined && !new RegExp(pattern, "u").test(value)) {
    found.push(`${python(value)} does not match '${pattern}'`);
  }
  if (oneOf !== undefined && !oneOf.includes(value)) {
    const allowed = oneOf.map((one) => `'${one}'`).join(", ");
    found.push(`${python(value)} is not one of [${allowed}]`);
  }
  return found;
}

function integerErrors(
  { maximum }: Of<"integer">,
  value: number | JsonLargeInteger,
): readonly string[] {
  if (value instanceof JsonLargeInteger && value.source.startsWith("-")) {
    return [`${python(value)} is less than the minimum of ${Number.MIN_SAFE_INTEGER}`];
  }
  const fits = typeof value === "number" && value <= maximum;
  return fits ? [] : [`${python(value)} is greater than the maximum of ${maximum}`];
}

function objectErrors({ properties, required }: Of<"object">, value: JsonObject): string[] {
  const extra = Object.keys(value).filter((key) => !Object.hasOwn(properties, key));
  const verb = extra.length === 1 ? "was" : "were";
  const named = extra.slice(0, 16).map(python).join(", ");
  return [
    ...(extra.length === 0
      ? []
      : [`Additional properties are not allowed (${named} ${verb} unexpected)`]),
    ...required
      .filter((key) => !Object.hasOwn(value, key))
      .map((key) => `'${key}' is a required property`),
    ...Object.entries(properties).flatMap(([key, schema]) =>
      Object.hasOwn(value, key) ? schemaErrors(schema, value[key] ?? null) : [],
    ),
  ];
}

function mapErrors({ entriesMax, key, value: schema }: Of<"map">, value: JsonObject): string[] {
  const names = Object.keys(value);
  const shown = names.slice(0, entriesMax + 1);
  const allowed = new RegExp(key, "u");
  return [
    ...(names.length > entriesMax ? [`${python(value)} has too many properties`] : []),
    ...shown
      .filter((name) => !allowed.test(name))
      .map((name) => `${python(name)} does not match any of the regexes: '${key}'`),
    ...shown.flatMap((name) => schemaErrors(schema, value[name] ?? null)),
  ];
}

const shownMax = 300;

/** As Python 2 writes a value: an error text of the original has it in this form. */
function python(value: JsonValue): string {
  const text = written(value, 0);
  return text.length <= shownMax ? text : `${text.slice(0, shownMax)}...`;
}

function written(value: JsonValue, depth: number): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return `u'${escaped(value.slice(0, shownMax))}'`;
  if (value instanceof JsonFloat || value instanceof JsonLargeInteger)
    return value.source.slice(0, shownMax);
  if (depth > 2) return "...";
  if (isObject(value)) {
    const pairs = Object.entries(value).slice(0, 20);
    return `{${pairs.map(([k, v]) => `${written(k, 0)}: ${written(v, depth + 1)}`).join(", ")}}`;
  }
  return `[${[...value]
    .slice(0, 20)
    .map((item) => written(item, depth + 1))
    .join(", ")}]`;
}

function escaped(text: string): string {
  return text.replace(/[\\'\p{Cc}]|[^\p{ASCII}]/gu, (point) => {
    if (point === "\\" || point === "'") return `\\${point}`;
    if (point === "\n") return "\\n";
    const code = point.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
    return `\\U${code.toString(16).padStart(8, "0")}`;
  });
}
