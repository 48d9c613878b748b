import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { WebSocket } from "ws";
import { type TlsFiles, clientTls, loadTls } from "../ca/tls.ts";
import { type ClusterId, type NodeId, parseBootId, parseClusterId } from "../domain/ids.ts";
import type { Pool } from "../domain/pool.ts";
import type { AgentMessage, ControlMessage, Hello } from "../protocol/agent-messages.ts";
import { protocolVersion } from "../protocol/agent-messages.ts";
import { agentPath, parseControlMessage } from "../protocol/agent-schema.ts";

export const testPool: Pool = {
  name: "default",
  driver: "memory",
  defaultSizeBytes: 10 * 2 ** 30,
  capabilities: {
    kind: "attachable",
    exclusive: "enforced",
    fence: "none",
    sizeBytesMin: 2 ** 20,
    sizeBytesStep: 2 ** 20,
    sizeBytesMax: 2 ** 44,
    attachedMax: 16,
    listDelayMsMax: 0,
    operationMsMax: 1_000,
  },
};

export type Of<Kind extends ControlMessage["kind"]> = Extract<
  ControlMessage,
  { readonly kind: Kind }
>;

/** An agent's end of the channel, which says what the test makes it say. */
export class TestAgent implements Disposable {
  readonly received: ControlMessage[] = [];
  readonly socket: WebSocket;
  /** Whether it stores what it is told; `ack` is sent for each revision. */
  acks = true;
  closed = false;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => {
      const message = parseControlMessage(Buffer.isBuffer(data) ? data.toString("utf8") : "");
      this.received.push(message);
      if (this.acks && "revision" in message) {
        this.send({ kind: "ack", revision: message.revision });
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Opens the WebSocket with the certificate of `files`; rejects when it is not let in. */
  static async connect(
    port: number,
    files: TlsFiles,
    options: { readonly autoPong?: boolean; readonly path?: string } = {},
  ): Promise<TestAgent> {
    const tls = clientTls(await loadTls(files, "node"), "TLSv1.3");
    const url = `wss://127.0.0.1:${port}${options.path ?? agentPath}`;
    const socket = new WebSocket(url, { ...tls, autoPong: options.autoPong ?? true });
    const agent = new TestAgent(socket);
    await once(socket, "open");
    return agent;
  }

  send(message: AgentMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  /** The first message of a kind that fits, waiting for it. */
  async until<Kind extends ControlMessage["kind"]>(
    kind: Kind,
    fits: (message: Of<Kind>) => boolean = () => true,
  ): Promise<Of<Kind>> {
    const isIt = (message: ControlMessage): message is Of<Kind> => message.kind === kind;
    for (;;) {
      const found = this.received.filter((message) => isIt(message)).find(fits);
      if (found !== undefined) return found;
      if (this.closed) throw new Error(`closed before ${kind}`);
      await once(this.socket, this.socket.readyState === this.socket.OPEN ? "message" : "close", {
        signal: AbortSignal.timeout(10_000),
      });
    }
  }

  async untilClosed(): Promise<void> {
    if (!this.closed) await once(this.socket, "close", { signal: AbortSignal.timeout(10_000) });
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}

/** A first hello of a node that has nothing. */
export function testHello(
  node: NodeId,
  cluster: ClusterId | string,
  more: Partial<Hello> = {},
): Hello {
  return {
    kind: "hello",
    protocol: protocolVersion,
    version: "test",
    node,
    clusterId: parseClusterId(cluster),
    fingerprint: `machine-of-${node}`,
    bootId: parseBootId(randomUUID()),
    runId: randomUUID(),
    instance: randomUUID(),
    address: { host: "10.77.0.1", peerPort: 4525 },
    pools: [testPool],
    poolsAway: [],
    seen: null,
    recordsDigest: "",
    namesDigest: "",
    holdings: [],
    nodes: [],
    heldOps: [],
    ...more,
  };
}
