import { once } from "node:events";
import type { Peers } from "../../agent/local/peers.ts";
import { PeerClient } from "../../agent/peer-client.ts";
import { PeerServer } from "../../agent/peer-server.ts";
import type { Runner } from "../../agent/runner.ts";
import type { LocalBackend } from "../../backends/local.ts";
import { peerTls, serverTls, type TlsCredentials } from "../../ca/tls.ts";
import { FlockerError, messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { OnStep } from "../../planner/steps.ts";

export type AgentPeersOptions = {
  readonly credentials: TlsCredentials;
  readonly port: number;
  readonly bytesPerSecond: number | null;
  readonly localBackends: ReadonlyMap<string, LocalBackend>;
  readonly runner: () => Runner;
  readonly log: Logger;
  readonly onStep: OnStep | undefined;
};

/** Single calls of a stream; the stream itself may take as long as bytes pass. */
const callMsMax = 300_000;

/** Both ends of this node's streams; `listen` opens the port. */
export class AgentPeers implements AsyncDisposable {
  readonly peers: Peers;
  readonly #server: PeerServer;
  readonly #port: number;

  constructor(options: AgentPeersOptions) {
    const { credentials, bytesPerSecond, localBackends, runner, log, onStep } = options;
    this.#port = options.port;
    this.#server = new PeerServer({
      tls: serverTls(credentials, "TLSv1.3"),
      log,
      announced: (move) => runner().announced(move),
      backend: (pool) => {
        const backend = localBackends.get(pool);
        if (backend !== undefined) return backend;
        throw new FlockerError("POOL_UNKNOWN", `This node has no pool named ${pool}.`);
      },
      // Beside the dataset's own steps, and so not under its lock: its holder goes on meanwhile.
      call: (datasetId, signal) => ({
        signal,
        deadlineMs: callMsMax,
        log: log.child({ datasetId }),
      }),
      disturbed: (datasetId) => runner().step({ kind: "disturbed", datasetId }),
      bytesPerSecond,
      onStep,
    });
    const client = new PeerClient({
      tls: (node) => peerTls(credentials, node),
      progressed: (datasetId, progress) =>
        runner().step({ kind: "progressed", datasetId, progress }),
      onStep,
    });
    this.peers = {
      fetch: client.fetch.bind(client),
      confirm: client.confirm.bind(client),
      withdraw: this.#server.withdraw.bind(this.#server),
    };
  }

  async listen(): Promise<void> {
    const { server } = this.#server;
    server.listen(this.#port);
    try {
      await once(server, "listening");
    } catch (cause) {
      throw new FlockerError(
        "PORT_IN_USE",
        `Port ${this.#port}, on which other agents fetch what moves to them, cannot be opened: ` +
          `${messageOf(cause)}. Set peer_port in agent.yml.`,
        { cause },
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}
