import { FlockerError } from "../lib/errors.ts";
import type { PluginCall } from "../agent/core/plugin-call.ts";
import { parseSize } from "./size.ts";

type CreateOptions = Extract<PluginCall, { readonly kind: "create" }>["options"];

const known = ["size", "pool", "fs", "reclaim", "profile"] as const;
const poolPattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/**
 * The options of `docker volume create -o`. They are `null` or absent when none was given. An
 * option that nobody knows is an error: it would be silently without effect.
 */
export function parseOptions(options: unknown): CreateOptions {
  const given = new Map(Object.entries(objectOf(options)).map(textOf));
  const unknown = [...given.keys()].filter((name) => !known.some((one) => one === name));
  if (unknown.length > 0) {
    const names = unknown.map((name) => JSON.stringify(name.slice(0, 64))).join(", ");
    throw invalid(`Unknown option ${names}. The options are ${known.join(", ")}.`);
  }
  const size = given.get("size");
  const pool = given.get("pool") ?? null;
  if (pool !== null && !poolPattern.test(pool)) {
    throw invalid(`Option pool: ${quoted(pool)} cannot be the name of a pool.`);
  }
  return {
    sizeBytes: size === undefined ? null : parseSize(size),
    pool,
    fileSystem: oneOf("fs", ["ext4", "xfs"], given.get("fs")),
    reclaim: oneOf("reclaim", ["trash", "delete", "retain"], given.get("reclaim")),
    // Empty meant "none" in Flocker 1.15.
    profile: oneOf("profile", ["gold", "silver", "bronze"], given.get("profile") || undefined),
  };
}

function objectOf(options: unknown): object {
  if (options === undefined || options === null) return {};
  if (typeof options === "object" && !Array.isArray(options)) return options;
  throw invalid("Opts is not an object of option names and texts.");
}

function textOf([name, value]: readonly [string, unknown]): readonly [string, string] {
  if (typeof value === "string") return [name, value];
  throw invalid(`Option ${name.slice(0, 64)}: the value is not a text.`);
}

function oneOf<const Choice extends string>(
  option: string,
  choices: readonly Choice[],
  given: string | undefined,
): Choice | null {
  if (given === undefined) return null;
  const choice = choices.find((one) => one === given);
  if (choice !== undefined) return choice;
  throw invalid(`Option ${option}: ${quoted(given)} is none of ${choices.join(", ")}.`);
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}

function invalid(message: string): FlockerError {
  return new FlockerError("INVALID_ARGUMENT", message);
}
