import { type Document, isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { FlockerError } from "../lib/errors.ts";

/** One pool as agent.yml describes it. */
export type PoolConfig = {
  readonly name: string;
  readonly backend: string;
  /** Bytes of a dataset without a size; undefined means the product's default. */
  readonly defaultSizeBytes: number | undefined;
  /** The driver's own keys. */
  readonly options: Readonly<Record<string, unknown>>;
};

export type AgentConfig = {
  readonly controlHost: string;
  readonly controlPort: number;
  readonly pools: readonly PoolConfig[];
  readonly unknownNames: "deny" | "hold";
};

const controlPortDefault = 4524;
const poolName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/;
/** One label of a host name (RFC 1123); IPv6 addresses have colons. */
const hostLabel = /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;
const ipv6 = /^[0-9a-fA-F:]+$/;
const sizeForm = /^(\d+)([kmgt]i?b?|b)?$/i;

/**
 * Reads agent.yml in Flocker's format (version 1): `dataset:` is the pool named `default`, `pools:`
 * maps names to the same keys. Anything wrong is `CONFIGURATION_INVALID` with one sentence that
 * names the key. Unknown keys at the top are accepted, as in the original.
 */
export function parseAgentConfig(text: string): AgentConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw invalid(`not YAML at line ${line}, column ${col}: ${error.message.split("\n")[0]}`);
  }
  const root = mapping(toValue(document), "the file");
  const version = required(root, "version", "");
  if (version !== 1) throw invalid(`Key version must be 1, not ${show(version)}.`);
  const service = mapping(required(root, "control-service", ""), "control-service");
  return {
    controlHost: parseHost(required(service, "hostname", "control-service.")),
    controlPort: parsePort(service["port"]),
    pools: parsePools(root),
    unknownNames: parseUnknownNames(root["unknown_names"]),
  };
}

function toValue(document: Document): unknown {
  if (document.contents !== null && !isMap(document.contents) && !isScalar(document.contents)) {
    throw invalid("The file must be a mapping of keys.");
  }
  return document.toJS({ maxAliasCount: 10 });
}

function parsePools(root: Readonly<Record<string, unknown>>): readonly PoolConfig[] {
  const { dataset, pools } = { dataset: root["dataset"], pools: root["pools"] };
  if (dataset === undefined && pools === undefined) {
    throw invalid("Required key dataset is missing (or pools, with one named default).");
  }
  const named = pools === undefined ? {} : mapping(pools, "pools");
  if (dataset !== undefined && "default" in named) {
    throw invalid("Both dataset and pools.default describe the pool named default; keep one.");
  }
  const all = dataset === undefined ? named : { default: dataset, ...named };
  if (Object.keys(all).length === 0) throw invalid("Key pools must name at least one pool.");
  return Object.entries(all).map(([name, value]) =>
    parsePool(
      name,
      value,
      name === "default" && dataset !== undefined ? "dataset" : `pools.${name}`,
    ),
  );
}

function parsePool(name: string, value: unknown, where: string): PoolConfig {
  if (!poolName.test(name)) {
    throw invalid(`The pool name ${show(name)} must be letters, digits, _, . or - (at most 64).`);
  }
  const { backend, default_size: size, ...options } = mapping(value, where);
  if (backend === undefined) throw invalid(`Required key ${where}.backend is missing.`);
  if (typeof backend !== "string" || backend === "") {
    throw invalid(`Key ${where}.backend must be the name of a driver, not ${show(backend)}.`);
  }
  return { name, backend, defaultSizeBytes: parseSize(size, `${where}.default_size`), options };
}

const unitPowers: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };

function parseSize(value: unknown, where: string): number | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === "number" || typeof value === "string" ? value.toString() : "";
  const match = sizeForm.exec(text);
  const unit = (match?.[2] ?? "b").charAt(0).toLowerCase();
  const bytes = Number(match?.[1]) * 1024 ** (unitPowers[unit] ?? 0);
  if (match === null || !Number.isSafeInteger(bytes) || bytes <= 0) {
    throw invalid(`Key ${where} must be bytes or a number with K, M, G or T, not ${show(value)}.`);
  }
  return bytes;
}

function parseHost(value: unknown): string {
  if (typeof value === "string" && (isHostname(value) || ipv6.test(value))) return value;
  throw invalid(
    `Key control-service.hostname must be a host name or an address, not ${show(value)}.`,
  );
}

function isHostname(text: string): boolean {
  return text.length <= 253 && text.split(".").every((label) => hostLabel.test(label));
}

function parsePort(value: unknown): number {
  if (value === undefined) return controlPortDefault;
  if (typeof value === "number" && Number.isInteger(value) && value > 0 && value < 65_536) {
    return value;
  }
  throw invalid(`Key control-service.port must be an integer from 1 to 65535, not ${show(value)}.`);
}

function parseUnknownNames(value: unknown): "deny" | "hold" {
  if (value === undefined) return "deny";
  if (value === "deny" || value === "hold") return value;
  throw invalid(`Key unknown_names must be deny or hold, not ${show(value)}.`);
}

function mapping(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw invalid(`Key ${where} must be a mapping of keys, not ${show(value)}.`);
}

function required(from: Readonly<Record<string, unknown>>, key: string, prefix: string): unknown {
  if (from[key] === undefined) throw invalid(`Required key ${prefix}${key} is missing.`);
  return from[key];
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 80);
}

function invalid(message: string): FlockerError {
  return new FlockerError("CONFIGURATION_INVALID", `Configuration error: ${message}`);
}
