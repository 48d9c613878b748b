import { once } from "node:events";
import { appendFile, open } from "node:fs/promises";
import { connect } from "node:tls";
import type { AgentConfig } from "../../agent/config.ts";
import { StateFiles } from "../../agent/state-files.ts";
import type { LocalBackend } from "../../backends/local.ts";
import { clientTls, type TlsCredentials } from "../../ca/tls.ts";
import { nameOf, type DatasetRecord } from "../../domain/record.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type AgentPaths, identityOf, onlyAgent, readFiles, refuseUnlessRoot } from "../agent.ts";
import { openPools } from "./pools.ts";

export type Unsealed = {
  readonly dataset: string;
  readonly name: string | null;
  readonly pool: string;
  readonly generation: number;
  readonly move: string;
};

/** What a person is asked about: the sealed volume, and how to open it. */
export type Sealed = Unsealed & { readonly unseal: () => Promise<void> };

const answerMsMax = 5_000;
const callMsMax = 120_000;

/**
 * Finds what a move left sealed on this node, for a person who lost the control service for good
 * between seal and decision. Refused while a control service answers (it decides) and while the
 * agent runs. What is opened is live again; it is mounted only once a control service grants it.
 */
export async function findSealed(
  dataset: string,
  paths: AgentPaths,
  log: Logger,
  scope: AsyncDisposableStack,
): Promise<Sealed> {
  refuseUnlessRoot();
  const { config, credentials } = await readFiles(paths);
  const { clusterId } = identityOf(credentials);
  await refuseIfAnswered(config, credentials);
  scope.use(await onlyAgent(paths.runDir));
  const { runDir, dataDir } = paths;
  const record = await recordOf(dataset, new StateFiles({ dataDir, runDir, log }));
  const { localBackends, leftOut } = await openPools(
    config.pools,
    { clusterId, runDir, dataDir, log },
    scope,
  );
  const backend = localBackends.get(record.pool);
  const away = leftOut.find(({ config: { name } }) => name === record.pool);
  if (away !== undefined) {
    throw new FlockerError("BACKEND_UNAVAILABLE", `Pool ${record.pool}: ${away.message}`);
  }
  if (backend === undefined) {
    throw new FlockerError("POOL_UNKNOWN", `This node has no pool ${record.pool} of its own.`);
  }
  return sealedIn(backend, record, { auditFile: `${dataDir}/audit.log`, log });
}

async function sealedIn(
  backend: LocalBackend,
  record: DatasetRecord,
  { auditFile, log }: { readonly auditFile: string; readonly log: Logger },
): Promise<Sealed> {
  const { datasetId, pool, sizeBytes } = record;
  const call = { signal: AbortSignal.timeout(callMsMax), deadlineMs: callMsMax, log };
  const copies = await backend.look(datasetId, call);
  const sealed = copies.find((copy) => copy.kind === "sealed");
  if (sealed === undefined) {
    const found = copies.map(({ kind }) => kind).join(", ") || "nothing";
    throw new FlockerError(
      "VOLUME_NOT_FOUND",
      `Dataset ${datasetId} is not sealed in pool ${pool} of this node; it has ${found}.`,
    );
  }
  const { generation } = sealed.identity;
  const name = nameOf(record);
  const what: Unsealed = { dataset: datasetId, name, pool, generation, move: sealed.move };
  return {
    ...what,
    unseal: async () => {
      // Before it is done: what a person decided is known whatever ends this process.
      await audit(auditFile, { kind: "unsealed", at: new Date().toISOString(), ...what });
      await backend.reopen({ datasetId, sizeBytes }, call);
      log.warn("dataset.unsealed", { datasetId, pool, generation, moveId: sealed.move });
    },
  };
}

async function audit(file: string, entry: object): Promise<void> {
  await appendFile(file, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
  await using handle = await open(file, "r");
  await handle.sync();
}

async function recordOf(dataset: string, files: StateFiles): Promise<DatasetRecord> {
  const known = (await files.loadCluster())?.records ?? [];
  const record = known.find((one) => one.datasetId === dataset || nameOf(one) === dataset);
  if (record?.poolKind === "local") return record;
  throw new FlockerError(
    "DATASET_NOT_FOUND",
    `This node's agent knows of no dataset ${dataset} on its own disks.`,
  );
}

async function refuseIfAnswered(
  { controlHost: host, controlPort: port }: AgentConfig,
  credentials: TlsCredentials,
): Promise<void> {
  const socket = connect({ ...clientTls(credentials, "TLSv1.3"), host, port });
  const signal = AbortSignal.timeout(answerMsMax);
  try {
    await once(socket, "secureConnect", { signal });
  } catch {
    return; // Nobody of this cluster is there.
  } finally {
    socket.destroy();
  }
  throw new FlockerError(
    "REVISION_CONFLICT",
    `The control service at ${host}:${port} answers: it decides what becomes of the move. Order ` +
      "the dataset back with `flockerctl move`; that opens it here again.",
  );
}
