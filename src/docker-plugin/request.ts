import { type PluginCall, pluginErrors } from "../agent/core/plugin-call.ts";
import { FlockerError } from "../lib/errors.ts";
import { unreachable } from "../lib/assert.ts";
import { parseOptions } from "./options.ts";

/** What the engine can ask for, by path; `Plugin.Activate` and Capabilities need no answerer. */
export const callKinds = {
  "/VolumeDriver.Create": "create",
  "/VolumeDriver.Remove": "remove",
  "/VolumeDriver.Mount": "mount",
  "/VolumeDriver.Unmount": "unmount",
  "/VolumeDriver.Path": "path",
  "/VolumeDriver.Get": "get",
  "/VolumeDriver.List": "list",
} as const satisfies Readonly<Record<string, PluginCall["kind"]>>;

export function callKindOf(path: string): PluginCall["kind"] | null {
  return Object.entries(callKinds).find(([known]) => known === path)?.[1] ?? null;
}

/** What a dataset's name must look like (also checked where the dataset is made). */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
const idLengthMax = 1024;

export type ParsedRequest =
  | { readonly kind: "call"; readonly call: PluginCall }
  /** Known without asking anybody: no volume can have such a name. */
  | { readonly kind: "answer"; readonly error: string }
  /** Not JSON, or not a JSON object: the status is 400. */
  | { readonly kind: "malformed"; readonly error: string };

/**
 * The call that a body asks for. Fields that are not known are ignored (a newer engine may send
 * them); an impossible name or option is `INVALID_ARGUMENT`. An empty body is an answer, never a
 * call: after a dropped connection the engine tries again with one, and it names nothing.
 */
export function parseRequest(kind: PluginCall["kind"], body: string): ParsedRequest {
  if (kind === "list") return { kind: "call", call: { kind } };
  if (body.trim() === "") {
    const error = `The request is empty: the engine lost the connection and tried again. Try again.`;
    return { kind: "answer", error };
  }
  let fields: unknown;
  try {
    fields = JSON.parse(body);
  } catch (error) {
    const why = error instanceof Error ? error.message : "unknown";
    return { kind: "malformed", error: `The request is not JSON: ${why}` };
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    return { kind: "malformed", error: "The request is not a JSON object." };
  }
  return parseFields(kind, fields);
}

function parseFields(kind: Exclude<PluginCall["kind"], "list">, fields: object): ParsedRequest {
  const name = textField(fields, "Name");
  if (name === null || name === "") {
    throw new FlockerError("INVALID_ARGUMENT", "The request has no Name of a volume.");
  }
  const possible = namePattern.test(name);
  switch (kind) {
    case "create":
      if (!possible) throw impossibleName(name);
      return call({ kind, name, options: parseOptions("Opts" in fields ? fields.Opts : null) });
    case "get":
    case "path":
      return possible ? call({ kind, name }) : { kind: "answer", error: pluginErrors.notFound };
    case "mount":
      if (!possible) return { kind: "answer", error: pluginErrors.notFound };
      return call({ kind, name, id: idOf(fields) });
    case "unmount":
      return possible ? call({ kind, name, id: idOf(fields) }) : { kind: "answer", error: "" };
    case "remove":
      return possible ? call({ kind, name }) : { kind: "answer", error: "" };
    default:
      return unreachable(kind);
  }
}

function call(parsed: PluginCall): ParsedRequest {
  return { kind: "call", call: parsed };
}

/** Old engines send no ID: all their users are one. */
function idOf(fields: object): string {
  const id = textField(fields, "ID") ?? "";
  if (id.length <= idLengthMax) return id;
  throw new FlockerError("INVALID_ARGUMENT", `The ID has more than ${idLengthMax} characters.`);
}

/** `key` as text; null when it is missing or null. */
function textField(fields: object, key: string): string | null {
  const value: unknown = Object.entries(fields).find(([name]) => name === key)?.[1];
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  throw new FlockerError("INVALID_ARGUMENT", `The ${key} of the request is not a text.`);
}

function impossibleName(name: string): FlockerError {
  return new FlockerError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(name.slice(0, 140))} cannot be the name of a volume: it begins with a letter ` +
      "or digit, followed by at most 127 letters, digits, underscores, dots and hyphens.",
  );
}
