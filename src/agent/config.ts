import { isIP } from "node:net";
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import { FlockerError } from "../lib/errors.ts";

/** A pool of this node: the driver, and the driver's own keys, which it checks itself. */
export type PoolConfig = {
  readonly name: string;
  readonly backend: string;
  /** Bytes of a dataset without a size; undefined means the product's default. */
  readonly defaultSizeBytes: number | undefined;
  readonly options: Readonly<Record<string, unknown>>;
};

/** agent.yml, in Flocker 1.15's format and with `pools` and `unknown_names`. */
export type AgentConfig = {
  readonly controlHost: string;
  readonly controlPort: number;
  /**
   * Sorted by name. `dataset` of the old format is the pool `default`. Null when the file says
   * nothing of pools: the node's own disks are used if they can be.
   */
  readonly pools: readonly PoolConfig[] | null;
  readonly peerPort: number;
  /** What all streams to other nodes may take together; null is no limit. */
  readonly peerBytesPerSecond: number | null;
  /** Whether an unknown volume name is denied while the control service cannot be asked. */
  readonly unknownNames: "deny" | "hold";
  /** What was accepted but does nothing, for the log: sentences that name key and place. */
  readonly notices: readonly string[];
};

const portDefault = 4524;
/** Where agents listen for the streams of moves. */
const peerPortDefault = 4525;
const topKeys = [
  "version",
  "control-service",
  "dataset",
  "pools",
  "unknown_names",
  "peer_port",
  "peers",
  "logging",
];
const peerKeys = ["bytes_per_second"];
const controlKeys = ["hostname", "port"];

type Values = Readonly<Record<string, unknown>>;
type Path = readonly string[];

/**
 * Reads agent.yml. Whatever is wrong is one `CONFIGURATION_INVALID` with file, line and column, and
 * never shows a value: it may be a secret. Keys that Flocker does not know at the top and in
 * `control-service` are accepted, as 1.15 did, and become notices; in a pool they are the driver's.
 */
export function parseAgentConfig(text: string, file = "agent.yml"): AgentConfig {
  return new AgentFile(text, file).read();
}

class AgentFile {
  readonly #document: Document;
  readonly #lines = new LineCounter();
  readonly #file: string;

  constructor(text: string, file: string) {
    this.#file = file;
    this.#document = parseDocument(text, { lineCounter: this.#lines });
    const [error] = this.#document.errors;
    if (error === undefined) return;
    const { line, col } = this.#lines.linePos(error.pos[0]);
    const sentence = error.message.split(/ at line |\n/)[0] ?? error.code;
    throw invalid(`${file}:${line}:${col}: ${sentence}`);
  }

  read(): AgentConfig {
    const root = this.#object([]);
    this.#require(root, ["version"]);
    if (root["version"] !== 1) throw this.#wrong(["version"], "must be 1");
    return {
      ...this.#controlService(root),
      pools: "pools" in root || "dataset" in root ? this.#pools(root) : null,
      ...this.#peers(root),
      unknownNames: this.#unknownNames(root),
      notices: [
        ...this.#unknown([], root, topKeys),
        ...("peers" in root ? this.#unknown(["peers"], this.#object(["peers"]), peerKeys) : []),
        ...this.#unknown(["control-service"], this.#object(["control-service"]), controlKeys),
        ...this.#logging(root),
      ],
    };
  }

  #controlService(root: Values): Pick<AgentConfig, "controlHost" | "controlPort"> {
    this.#require(root, ["control-service"]);
    const section = this.#object(["control-service"]);
    this.#require(section, ["control-service", "hostname"]);
    const { hostname, port = portDefault } = section;
    if (typeof hostname !== "string" || !isHostname(hostname)) {
      throw this.#wrong(["control-service", "hostname"], "must be a host name or an IP address");
    }
    if (!isPort(port)) {
      throw this.#wrong(["control-service", "port"], "must be a whole number from 1 to 65535");
    }
    return { controlHost: hostname, controlPort: port };
  }

  #peers(root: Values): Pick<AgentConfig, "peerPort" | "peerBytesPerSecond"> {
    const { peer_port: peerPort = peerPortDefault } = root;
    if (!isPort(peerPort)) {
      throw this.#wrong(["peer_port"], "must be a whole number from 1 to 65535");
    }
    const peers = "peers" in root ? this.#object(["peers"]) : {};
    const { bytes_per_second: limit } = peers;
    const peerBytesPerSecond = limit === undefined ? undefined : parseBytes(limit);
    if (peerBytesPerSecond === null) {
      throw this.#wrong(
        ["peers", "bytes_per_second"],
        "must be bytes, or a number with k, M, G or T, like 50M",
      );
    }
    return { peerPort, peerBytesPerSecond: peerBytesPerSecond ?? null };
  }

  #pools(root: Values): readonly PoolConfig[] {
    const named = "pools" in root ? this.#object(["pools"]) : {};
    if ("dataset" in root && "default" in named) {
      throw this.#wrong(
        ["pools", "default"],
        "and the key dataset both describe the pool named default; keep one of them",
      );
    }
    const pools = Object.keys(named).map((name) => this.#pool(name, ["pools", name]));
    if ("dataset" in root) pools.push(this.#pool("default", ["dataset"]));
    if (pools.length === 0) throw this.#wrong(["pools"], "must describe at least one pool");
    return pools.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #pool(name: string, path: Path): PoolConfig {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/.test(name)) {
      throw this.#wrong(
        path,
        "is no name of a pool: up to 64 letters, digits, '_', '.' or '-', the first one a letter " +
          "or digit",
      );
    }
    const section = this.#object(path);
    this.#require(section, [...path, "backend"]);
    const { backend, default_size: size, ...options } = section;
    if (typeof backend !== "string" || backend === "") {
      throw this.#wrong([...path, "backend"], "must be the name of a driver or of its module");
    }
    const sizeBytes = size === undefined ? undefined : parseBytes(size);
    if (sizeBytes === null) {
      throw this.#wrong(
        [...path, "default_size"],
        "must be bytes, or a number with k, M, G or T, like 10G",
      );
    }
    return { name, backend, defaultSizeBytes: sizeBytes, options };
  }

  #unknownNames(root: Values): AgentConfig["unknownNames"] {
    const { unknown_names: value = "deny" } = root;
    if (value === "deny" || value === "hold") return value;
    throw this.#wrong(["unknown_names"], "must be deny or hold");
  }

  #unknown(path: Path, section: Values, known: readonly string[]): readonly string[] {
    return Object.keys(section)
      .filter((key) => !known.includes(key))
      .map((key) => {
        const where = path.length === 0 ? "" : ` in ${path.join(".")}`;
        return (
          `${this.#place([...path, key])}: the key ${key} is not known${where} and does nothing; ` +
          `known are ${known.join(", ")}.`
        );
      });
  }

  /** Python's logging.dictConfig, of the original; ours is JSON lines on standard error. */
  #logging(root: Values): readonly string[] {
    const { logging } = root;
    if (logging === undefined || logging === null) return [];
    if (typeof logging === "object" && Object.keys(logging).length === 0) return [];
    return [`${this.#place(["logging"])}: the key logging is accepted and does nothing.`];
  }

  /** The mapping at a path as plain values; anything else there is wrong. */
  #object(path: Path): Values {
    const node = path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
    if (isMap(node)) {
      const value: unknown = node.toJS(this.#document, { maxAliasCount: 100 });
      if (typeof value === "object" && value !== null) return { ...value };
    }
    throw this.#wrong(path, "must be a mapping of keys to values");
  }

  #require(section: Values, path: Path): void {
    const key = path.at(-1) ?? "";
    if (section[key] !== undefined && section[key] !== null) return;
    throw invalid(`Required key ${path.join(".")} is missing.`);
  }

  #wrong(path: Path, what: string): FlockerError {
    const name = path.length === 0 ? "The file" : `Key ${path.join(".")}`;
    return invalid(`${this.#place(path)}: ${name} ${what}.`);
  }

  /** `file:line:column` of a key. */
  #place(path: Path): string {
    const parent: unknown =
      path.length < 2 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
    const last = path.at(-1);
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === last)
      : undefined;
    const start = isNode(pair?.key) ? pair.key.range?.[0] : undefined;
    const { line, col } = this.#lines.linePos(start ?? 0);
    return line === 0 ? this.#file : `${this.#file}:${line}:${col}`;
  }
}

function invalid(sentence: string): FlockerError {
  return new FlockerError("CONFIGURATION_INVALID", `Configuration error: ${sentence}`);
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isPort(value: unknown): value is number {
  return isInteger(value) && value >= 1 && value <= 65_535;
}

/** RFC 1034, as JSON schema's format `hostname`; IP addresses too. */
function isHostname(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
  return text.length <= 253 && text.split(".").every((part) => label.test(part));
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

function parseBytes(value: unknown): number | null {
  const [, digits, unit = ""] = /^(\d+)\s*(?:([kmgt])(?:i?b)?)?$/i.exec(String(value)) ?? [];
  const bytes = Number(digits) * (units[unit.toLowerCase()] ?? Number.NaN);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}
