import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { dirname } from "node:path";
import { Channel } from "../agent/channel.ts";
import { type AgentConfig, parseAgentConfig } from "../agent/config.ts";
import type { AgentOptions } from "../agent/core/agent-state.ts";
import { addressTowards, readEra } from "../agent/era.ts";
import { Runner } from "../agent/runner.ts";
import { StateFiles } from "../agent/state-files.ts";
import { clientTls, loadTls, type TlsCredentials } from "../ca/tls.ts";
import { DockerEngine } from "../containers/docker-engine.ts";
import { loadDriver } from "../containers/load-driver.ts";
import { startPluginServer } from "../docker-plugin/server.ts";
import { type ClusterId, type NodeId, parseClusterId, parseNodeId } from "../domain/ids.ts";
import { seenByEngine } from "../host/engine-view.ts";
import { LinuxHost } from "../host/linux-host.ts";
import { FlockerError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { OnStep } from "../planner/steps.ts";
import { version } from "../lib/version.ts";
import { AgentPeers } from "./agent/peers.ts";
import { copiesAtStart, firstToOpen, openPools, type Pools } from "./agent/pools.ts";
import { watchEngine } from "./engine-watch.ts";
import { writePidFile } from "./pid-file.ts";
import { makeDirectory } from "../lib/system.ts";

export type AgentPaths = {
  readonly config: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly mountRoot: string;
  readonly pluginSocket: string;
  readonly engineSocket: string;
};

export const agentPaths: Omit<AgentPaths, "config"> = {
  dataDir: "/var/lib/flocker/agent",
  runDir: "/run/flocker",
  mountRoot: "/flocker",
  pluginSocket: "/run/docker/plugins/flocker/flocker.sock",
  engineSocket: "/var/run/docker.sock",
};

/** The engine knows a driver by the name of its socket. */
const driverName = "flocker";
const startCallMsMax = 30_000;

/** Everything of this machine that the agent works with, checked before it begins. */
type Machine = Pick<Pools, "backends" | "localBackends"> & {
  readonly config: AgentConfig;
  readonly credentials: TlsCredentials;
  readonly host: LinuxHost;
  readonly files: StateFiles;
  readonly lockDir: string;
  readonly agent: AgentOptions;
  /** Resolves once a pool that is left out can be opened. */
  readonly whenOpened: (signal: AbortSignal) => Promise<string>;
};

/**
 * Runs the agent until it is told to stop: driver, loop and Docker plugin in one process. Resolves
 * with the exit status. Everything that is wrong with the machine or the files is said in one
 * sentence before anything is mounted. `onStep` is how tests end it at a step of `stepTable`.
 */
export async function runAgent(
  paths: AgentPaths,
  log: Logger,
  stopped: Promise<void>,
  onStep?: OnStep,
): Promise<number> {
  refuseUnlessRoot();
  for (;;) {
    const status = await runOnce(paths, log, stopped, onStep);
    if (status !== null) return status;
  }
}

/** Null when it is to begin anew, as a pool that was left out can be opened by now. */
async function runOnce(
  paths: AgentPaths,
  log: Logger,
  stopped: Promise<void>,
  onStep?: OnStep,
): Promise<number | null> {
  await using scope = new AsyncDisposableStack();
  const machine = await readMachine(paths, log, scope);
  const { node, bootId } = machine.agent;
  log.info("agent.started", {
    nodeId: node,
    bootId,
    pools: machine.agent.pools.map(({ name }) => name),
  });
  const failed = Promise.withResolvers<number | null>();
  await wire(paths, machine, { log, scope, fail: (status) => failed.resolve(status), onStep });
  scope.use(await writePidFile(`${paths.runDir}/agent.pid`, log));
  const waiting = new AbortController();
  scope.defer(() => waiting.abort());
  machine.whenOpened(waiting.signal).then(
    () => failed.resolve(null),
    () => {}, // This round has ended.
  );
  const status = await Promise.race([stopped.then(() => 0), failed.promise]);
  log.info("agent.stopped", { nodeId: node, status });
  return status;
}

export function refuseUnlessRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new FlockerError("NOT_ROOT", "The agent mounts file systems and must run as root.");
}

async function readMachine(
  paths: AgentPaths,
  log: Logger,
  scope: AsyncDisposableStack,
): Promise<Machine> {
  const { config, credentials } = await readFiles(paths);
  for (const message of config.notices) log.warn("configuration.ignored", { message });
  const { node, clusterId } = identityOf(credentials);
  const era = await readEra(paths.runDir);
  scope.use(await onlyAgent(paths.runDir));
  const host = new LinuxHost({ mountRoot: paths.mountRoot, runDir: paths.runDir });
  const signal = AbortSignal.timeout(startCallMsMax);
  await host.prepare({ signal, deadlineMs: startCallMsMax, log });
  const { runDir, dataDir } = paths;
  const opened = await openPools(config.pools, { clusterId, runDir, dataDir, log }, scope);
  const { backends, localBackends, pools, leftOut } = opened;
  const files = new StateFiles({ dataDir: paths.dataDir, runDir: paths.runDir, log });
  const lockDir = `${paths.runDir}/locks`;
  await makeDirectory(lockDir);
  const agent: AgentOptions = {
    node,
    clusterId,
    ...era,
    instance: randomUUID(),
    version,
    address: { host: await addressTowards(config.controlHost), peerPort: config.peerPort },
    pools,
    poolsAway: leftOut.map(({ config: { name }, message }) => ({ name, message })),
    unknownNames: config.unknownNames,
    cluster: await files.loadCluster(),
    run: await files.loadRun(),
    mounted: await host.mountedDatasets(),
    copies: await copiesAtStart(localBackends, log),
    nowMs: performance.now(),
  };
  const whenOpened = (ended: AbortSignal): Promise<string> =>
    firstToOpen(leftOut, { clusterId, runDir, dataDir, log }, { signal: ended });
  return { config, credentials, host, backends, localBackends, files, lockDir, agent, whenOpened };
}

type Wiring = {
  readonly log: Logger;
  readonly scope: AsyncDisposableStack;
  readonly fail: (status: number) => void;
  readonly onStep: OnStep | undefined;
};

/** Runner, plugin, engine and channel; disposed in reverse when the agent stops. */
async function wire(
  paths: AgentPaths,
  machine: Machine,
  { log, scope, fail, onStep }: Wiring,
): Promise<void> {
  const { config, credentials, whenOpened: _, ...parts } = machine;
  const engine = new DockerEngine({
    socketPath: paths.engineSocket,
    driver: driverName,
    shownRoot: paths.mountRoot,
    log,
  });
  const peers = new AgentPeers({
    credentials,
    port: config.peerPort,
    bytesPerSecond: config.peerBytesPerSecond,
    localBackends: parts.localBackends,
    runner: () => runner,
    log,
    onStep,
  });
  const runner = scope.use(
    new Runner({
      ...parts,
      peers: peers.peers,
      onStep,
      log,
      nowMs: () => performance.now(),
      newId: randomUUID,
      send: (message) => channel.send(message),
      disconnect: () => channel.disconnect(),
      seenByEngine: async (datasetId, call) => {
        const pid = await engine.pid();
        return pid === null ? null : seenByEngine(paths, datasetId, pid, call);
      },
      startContainer: async (id, signal) => {
        const answer = await engine.startWaiting(id, { signal });
        if (answer.kind === "unavailable") return { kind: "failed", reason: answer.reason };
        return { reason: null, ...answer.value };
      },
      onFatal: (error) => {
        log.error("agent.failed", { err: error instanceof Error ? error.stack : String(error) });
        fail(70);
      },
    }),
  );
  scope.use(peers);
  await peers.listen();
  const channel = new Channel({
    host: config.controlHost,
    port: config.controlPort,
    tls: clientTls(credentials, "TLSv1.3"),
    log,
    onOpen: () => runner.connected(),
    onClose: () => runner.disconnected(),
    onMessage: (message) => runner.received(message),
    random: Math.random,
  });
  scope.use(channel);
  // Before the engine starts, so that it finds an answer whether or not the control service does.
  const port = { call: runner.call.bind(runner) };
  scope.use(await startPluginServer({ socketPath: paths.pluginSocket, port, log }));
  scope.use(watchEngine({ engine, log, changed: runner.engine.bind(runner) }));
  const loading = new AbortController();
  scope.defer(() => loading.abort());
  void loadDriver(engine, driverName, { signal: loading.signal, log });
}

/** agent.yml and the node's certificate beside it, checked. */
export async function readFiles(
  paths: AgentPaths,
): Promise<{ readonly config: AgentConfig; readonly credentials: TlsCredentials }> {
  let text: string;
  try {
    text = await readFile(paths.config, "utf8");
  } catch (cause) {
    throw new FlockerError(
      "CONFIGURATION_INVALID",
      `${paths.config} cannot be read; the guide in README.md shows one to start from.`,
      { cause },
    );
  }
  const config = parseAgentConfig(text, paths.config);
  const directory = dirname(paths.config);
  const credentials = await loadTls(
    {
      authority: `${directory}/cluster.crt`,
      certificate: `${directory}/node.crt`,
      key: `${directory}/node.key`,
    },
    "node",
  );
  return { config, credentials };
}

/** Who this node is in which cluster, by its certificate. */
export function identityOf(credentials: TlsCredentials): {
  readonly node: NodeId;
  readonly clusterId: ClusterId;
} {
  const { identity, cluster } = credentials;
  if (identity.kind !== "node" || cluster === null) {
    throw new FlockerError(
      "CERTIFICATE_INVALID",
      "The node's certificate names no node, or its authority no cluster; make both with flocker-ca.",
    );
  }
  return { node: parseNodeId(identity.nodeId), clusterId: parseClusterId(cluster) };
}

/** Two agents on one machine would both mount: the kernel lets one have this abstract name. */
export async function onlyAgent(runDir: string): Promise<AsyncDisposable> {
  const server: Server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", () =>
      reject(
        new FlockerError("PORT_IN_USE", `Another agent is running on this machine (${runDir}).`),
      ),
    );
    server.listen({ path: `\0flocker-agent:${runDir}` }, resolve);
  });
  return {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
      }),
  };
}
