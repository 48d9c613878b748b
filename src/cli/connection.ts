import { access, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { systemMessage } from "../ca/credential-files.ts";
import type { TlsFiles } from "../ca/tls.ts";
import { FlockerError } from "../lib/errors.ts";
import { type Parsed, UsageError, nonEmpty } from "./command.ts";

/** The options that say where the certificates and the control service are. */
export const connectionArgs = {
  clusterYml: {
    kind: "option",
    value: "file",
    help: "cluster.yml of the cluster (default: ./cluster.yml, if it is there)",
    parse: nonEmpty,
  },
  certsPath: {
    kind: "option",
    value: "directory",
    help: "Directory of the certificates (or FLOCKER_CERTS_PATH)",
    parse: nonEmpty,
  },
  user: {
    kind: "option",
    value: "name",
    help: "The files are <name>.crt and <name>.key (or FLOCKER_USER; default: user)",
    parse: nonEmpty,
  },
  clusterCrt: {
    kind: "option",
    value: "file",
    help: "File of the authority in that directory (default: cluster.crt)",
    parse: nonEmpty,
  },
  controlService: {
    kind: "option",
    value: "host",
    help: "Host of the control service (or FLOCKER_CONTROL_SERVICE; default: from agent.yml)",
    parse: parseHost,
  },
  controlPort: {
    kind: "option",
    value: "port",
    help: "Port of its REST API (default: 4523)",
    parse: parsePort,
  },
} as const;

export type ConnectionOptions = Parsed<typeof connectionArgs>;

/** What surrounds the process: environment and working directory. */
export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  /** Where a host keeps its own files: `/etc/flocker`. */
  readonly hostDirectory: string;
};

export type Target = { readonly host: string; readonly port: number; readonly files: TlsFiles };

const portDefault = 4523;

/**
 * Certificates are looked for in the options, the environment, the directory of cluster.yml, the
 * current directory and `/etc/flocker`; the first that names a directory decides, and the last two
 * only if they hold all three files. The control service: options, environment, agent.yml beside
 * the certificates, cluster.yml, agent.yml of the host.
 */
export async function findTarget(
  options: ConnectionOptions,
  { env, directory, hostDirectory }: Surroundings,
): Promise<Target> {
  const cluster = await readClusterYml(options.clusterYml, directory);
  const user = options.user ?? given(env["FLOCKER_USER"]) ?? cluster?.user ?? "user";
  const filesIn = (path: string): TlsFiles => ({
    authority: resolve(path, options.clusterCrt ?? "cluster.crt"),
    certificate: join(path, `${user}.crt`),
    key: join(path, `${user}.key`),
  });
  const named = options.certsPath ?? given(env["FLOCKER_CERTS_PATH"]) ?? cluster?.directory;
  const files =
    named === undefined
      ? await firstComplete([directory, hostDirectory].map(filesIn))
      : filesIn(resolve(directory, named));
  const host =
    options.controlService ??
    hostFromEnvironment(env["FLOCKER_CONTROL_SERVICE"]) ??
    (await hostFromAgentYml(join(dirname(files.certificate), "agent.yml"))) ??
    cluster?.control ??
    (await hostFromAgentYml(join(hostDirectory, "agent.yml")));
  if (host === undefined) throw new UsageError("must specify --control-service");
  return { host, port: options.controlPort ?? portDefault, files };
}

async function firstComplete(candidates: readonly TlsFiles[]): Promise<TlsFiles> {
  for (const files of candidates) {
    const present = await Promise.all([files.authority, files.certificate, files.key].map(exists));
    if (present.every(Boolean)) return files;
  }
  const places = candidates.map((files) => dirname(files.certificate)).join(" nor in ");
  const wanted = candidates[0]?.certificate.split("/").at(-1) ?? "";
  throw new FlockerError(
    "CERTIFICATE_INVALID",
    `Not enough information to construct TLS context: cluster.crt, ${wanted} and its .key are ` +
      `neither in ${places}. Say where they are with --certs-path and --user, or make them with ` +
      "`flocker-ca create-api-certificate`.",
  );
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

type Cluster = {
  readonly directory: string;
  readonly user: string | undefined;
  readonly control: string | undefined;
};

async function readClusterYml(
  option: string | undefined,
  directory: string,
): Promise<Cluster | null> {
  const path = resolve(directory, option ?? "cluster.yml");
  if (option === undefined && !(await exists(path))) return null;
  const content = await readYaml(path);
  const users = field(content, "users");
  return {
    directory: dirname(path),
    user: Array.isArray(users) ? textOf(users[0]) : undefined,
    control: textOf(field(content, "control_node")),
  };
}

async function hostFromAgentYml(path: string): Promise<string | undefined> {
  if (!(await exists(path))) return undefined;
  return textOf(field(field(await readYaml(path), "control-service"), "hostname"));
}

async function readYaml(path: string): Promise<unknown> {
  try {
    const text = await readFile(path, "utf8");
    const { parseYaml } = await import("./parse-yaml.ts");
    return parseYaml(text);
  } catch (cause) {
    const why = systemMessage(cause).split("\n")[0] ?? "";
    throw new FlockerError("CONFIGURATION_INVALID", `${path} cannot be read: ${why}`, {
      cause,
    });
  }
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** An empty variable is as good as none. */
function given(text: string | undefined): string | undefined {
  return textOf(text);
}

function hostFromEnvironment(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : parseHost(text);
}

function parseHost(text: string): string {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  if (/^[a-zA-Z0-9._:%-]+$/.test(bare) && !/^[^:]*:\d+$/.test(bare)) return bare;
  throw new UsageError(
    `not a host: '${text}' (a name or an address alone; the port goes into --control-port)`,
  );
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`not a port: '${text}' (1 to 65535)`);
}
