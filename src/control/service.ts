import { join } from "node:path";
import { type TlsCredentials, loadTls, serverTls } from "../ca/tls.ts";
import { type ClusterId, parseClusterId } from "../domain/ids.ts";
import { FlockerError, hasCode } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { AgentMessage } from "../protocol/agent-messages.ts";
import { createRestApp } from "./api/rest-app.ts";
import { CommitPipeline } from "./commit-pipeline.ts";
import { ControlCore } from "./core/control-core.ts";
import type { ConnectionId, CoreOutput } from "./core/state.ts";
import { CorePort } from "./core-port.ts";
import { makeDataDirectory, storePath } from "./data-directory.ts";
import { AgentGateway, type GatewayEvents } from "./gateway/agent-gateway.ts";
import type { GatewayLimits } from "./gateway/gateway-limits.ts";
import { type Endpoint, listen } from "./listen.ts";
import { openSqliteStore } from "./store/sqlite-store.ts";
import type { OpenedStore } from "./store/store.ts";
import { coreContents, metaKeys } from "./store-contents.ts";
import { Presence } from "./views/presence.ts";

export type ServiceOptions = {
  readonly dataPath: string;
  /** Holds `cluster.crt`, `control-service.crt` and `control-service.key`. */
  readonly certificatesDirectory: string;
  readonly rest: Endpoint;
  readonly agents: Endpoint;
  readonly machineId: string;
  /** A person's word that a store of another machine is to be used here. */
  readonly acceptCopy: boolean;
  readonly newId: () => string;
  /** Milliseconds since the epoch that never go back while the process lives. */
  readonly nowMs: () => number;
  readonly log: Logger;
  /** It cannot go on: the process must end, as what it has in memory may not be durable. */
  readonly failed: (reason: FlockerError) => void;
  readonly gatewayLimits?: Partial<GatewayLimits>;
};

/** A control service that serves. Disposing it lets what is under way end, within a limit. */
export type ControlService = AsyncDisposable & {
  readonly restPort: number;
  readonly agentPort: number;
};

type CreateMessage = Extract<AgentMessage, { readonly kind: "request" }>;

const tickMs = 250;
const drainMsMax = 5_000;
const expiryWarningMs = 30 * 86_400_000;

/** Resolves once both ports listen; rejects with what is missing or wrong, having let go of all. */
export async function startControlService(options: ServiceOptions): Promise<ControlService> {
  const { log } = options;
  await using starting = new AsyncDisposableStack();
  const credentials = await loadCredentials(options);
  await makeDataDirectory(options.dataPath);
  const opened = await openSqliteStore({
    path: storePath(options.dataPath),
    machineId: options.machineId,
    newId: options.newId,
    acceptCopy: options.acceptCopy,
    log,
  });
  starting.use(opened.store);
  const clusterId = await settleCluster(opened, credentials.cluster, options.dataPath);
  const { core, gateway, app, stop } = serve(options, credentials, { ...opened, clusterId });
  starting.defer(stop);
  await app.ready();
  const agentPort = await listen(gateway.server, options.agents, "--agent-port");
  const restPort = await listen(app.server, options.rest, "--port");
  const { storeId, term, revision, records } = opened.contents;
  const { mode } = core.state;
  log.info("control.started", {
    restPort,
    agentPort,
    storeId,
    term,
    revision,
    datasets: records.size,
    mode: mode.kind,
  });
  if (mode.kind !== "normal") log.warn("control.limited", { ...mode });
  const running = starting.move();
  return {
    restPort,
    agentPort,
    [Symbol.asyncDispose]: async () => {
      await running.disposeAsync();
      log.info("control.stopped", { revision: core.state.revision });
    },
  };
}

async function loadCredentials({
  certificatesDirectory,
  nowMs,
  log,
}: ServiceOptions): Promise<TlsCredentials> {
  const file = (name: string): string => join(certificatesDirectory, name);
  const credentials = await loadTls(
    {
      authority: file("cluster.crt"),
      certificate: file("control-service.crt"),
      key: file("control-service.key"),
    },
    "control",
    nowMs(),
  );
  const { expiresAtMs } = credentials;
  if (expiresAtMs < nowMs() + expiryWarningMs) {
    log.warn("certificate.aged", { expiresAt: new Date(expiresAtMs).toISOString() });
  }
  return credentials;
}

/** The cluster of the certificates is the store's, from the first start on. */
async function settleCluster(
  { store, contents }: OpenedStore,
  cluster: string | null,
  dataPath: string,
): Promise<ClusterId> {
  if (cluster === null) {
    throw new FlockerError(
      "CERTIFICATE_INVALID",
      "cluster.crt names no cluster (its organizational unit is empty): make the certificates " +
        "anew with flocker-ca",
    );
  }
  const known = contents.meta.get(metaKeys.clusterId);
  if (known !== undefined && known !== cluster) {
    throw new FlockerError(
      "CONFIGURATION_INVALID",
      `The store in ${dataPath} belongs to cluster ${known}, the certificates to cluster ` +
        `${cluster}. Use the certificates of that cluster, or another --data-path.`,
    );
  }
  const clusterId = parseClusterId(cluster);
  if (known === undefined) {
    await store.commit(
      [{ kind: "meta", key: metaKeys.clusterId, value: cluster }],
      contents.revision,
      { urgent: true },
    );
  }
  return clusterId;
}

type Serving = {
  readonly core: ControlCore;
  readonly gateway: AgentGateway;
  readonly app: ReturnType<typeof createRestApp>;
  readonly stop: () => Promise<void>;
};

function serve(
  options: ServiceOptions,
  credentials: TlsCredentials,
  { store, contents, clusterId }: OpenedStore & { readonly clusterId: ClusterId },
): Serving {
  const { log, nowMs, newId } = options;
  const core = new ControlCore({
    contents: coreContents(contents, clusterId),
    nowMs: nowMs(),
    newId,
  });
  let isEnding = false;
  const pipeline = new CommitPipeline({
    core,
    store,
    nowMs,
    perform: (output) => {
      if (output.kind === "log") log[output.level](output.event, output.fields);
      else if (output.kind !== "created") gateway.perform(output);
    },
    failed: (reason) => {
      isEnding = true;
      log.error("control.failed", { code: reason.code, message: reason.message });
      options.failed(reason);
    },
  });
  const presence = new Presence();
  const gateway = new AgentGateway({
    tls: serverTls(credentials, "TLSv1.3"),
    events: agentEvents({
      pipeline,
      presence,
      answer: (output) => gateway.perform(output),
      isEnding: () => isEnding,
    }),
    log,
    ...(options.gatewayLimits === undefined ? {} : { limits: options.gatewayLimits }),
  });
  const app = createRestApp({
    control: new CorePort(pipeline, presence),
    log,
    tls: serverTls(credentials, "TLSv1.2"),
  });
  const ticks = setInterval(() => {
    if (isEnding) return;
    const ticked = pipeline.run(({ state }, atMs) => {
      presence.note(state, atMs);
      core.tick(atMs);
    });
    ticked.catch(() => {}); // `failed` was told.
  }, tickMs);
  const stop = async (): Promise<void> => {
    const limit = setTimeout(() => app.server.closeAllConnections(), drainMsMax);
    await app.close();
    clearTimeout(limit);
    clearInterval(ticks);
    await pipeline.settled();
    isEnding = true;
    await gateway[Symbol.asyncDispose]();
  };
  return { core, gateway, app, stop };
}

type AgentSide = {
  readonly pipeline: CommitPipeline;
  readonly presence: Presence;
  readonly answer: (output: Extract<CoreOutput, { readonly kind: "send" }>) => void;
  readonly isEnding: () => boolean;
};

/** What agents do to the core. Of a failure of the pipeline its `failed` is told, nobody else. */
function agentEvents({ pipeline, presence, answer, isEnding }: AgentSide): GatewayEvents {
  const run = (work: (core: ControlCore, nowMs: number) => void): void => {
    if (!isEnding()) pipeline.run(work).catch(() => {});
  };
  const create = async (connection: ConnectionId, message: CreateMessage): Promise<void> => {
    try {
      const grows = { grows: true };
      await pipeline.run((core, nowMs) => core.receive(connection, message, nowMs), grows);
    } catch (error) {
      if (!(error instanceof FlockerError) || !hasCode(error, "STORE_FULL")) return;
      const { code, message: text } = error;
      const refused = { kind: "error", code, message: text } as const;
      const reply = { kind: "answer", id: message.id, answer: refused } as const;
      answer({ kind: "send", connection, message: reply });
    }
  };
  return {
    received: (connection, message) => {
      if (message.kind === "request" && message.request.kind === "create") {
        if (!isEnding()) void create(connection, message);
      } else run((core, nowMs) => core.receive(connection, message, nowMs));
    },
    probed: (connection, alive) => run((core, nowMs) => core.probed(connection, alive, nowMs)),
    disconnected: (connection) =>
      run((core, nowMs) => {
        presence.note(core.state, nowMs);
        core.disconnected(connection, nowMs);
      }),
  };
}
