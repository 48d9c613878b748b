import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type Server, createServer } from "node:https";
import type { Duplex } from "node:stream";
import { type TlsOptions, TLSSocket } from "node:tls";
import { type WebSocket, WebSocketServer } from "ws";
import { identityOf, onlyRole } from "../../ca/only-role.ts";
import { type NodeId, parseNodeId } from "../../domain/ids.ts";
import type { Logger } from "../../lib/log.ts";
import type { AgentMessage } from "../../protocol/agent-messages.ts";
import { agentPath } from "../../protocol/agent-schema.ts";
import type { ConnectionId, CoreOutput } from "../core/state.ts";
import { AgentConnection } from "./agent-connection.ts";
import { type GatewayLimits, gatewayLimits } from "./gateway-limits.ts";

/** Whom the gateway tells what happened. */
export type GatewayEvents = {
  readonly received: (connection: ConnectionId, message: AgentMessage) => void;
  readonly probed: (connection: ConnectionId, alive: boolean) => void;
  readonly disconnected: (connection: ConnectionId) => void;
};

export type GatewayOptions = {
  /** Of `serverTls`: certificates of nodes only get past the door. */
  readonly tls: TlsOptions;
  readonly events: GatewayEvents;
  readonly log: Logger;
  readonly limits?: Partial<GatewayLimits>;
};

type Performed = Extract<CoreOutput, { readonly kind: "send" | "close" | "probe" }>;

/** The agents' port: WebSockets over mutual TLS, one connection of the core for each. */
export class AgentGateway implements AsyncDisposable {
  /** Listen on it; closing it is the gateway's. */
  readonly server: Server;
  readonly #options: GatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #sockets: WebSocketServer;
  readonly #connections = new Map<ConnectionId, AgentConnection>();
  readonly #beats: NodeJS.Timeout;
  #opened = 0;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#limits = { ...gatewayLimits, ...options.limits };
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: this.#limits.messageBytesMax,
    });
    this.server = createServer(options.tls, (_request, response) => {
      response.writeHead(404, { "Content-Type": "application/json", Connection: "close" });
      response.end(JSON.stringify({ description: "Agents connect here, by WebSocket." }));
    });
    this.server.headersTimeout = this.#limits.helloMsMax;
    this.server.requestTimeout = this.#limits.helloMsMax;
    this.server.maxConnections = this.#limits.connectionsMax;
    this.server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    onlyRole(this.server, "node", options.log);
    this.#beats = setInterval(() => {
      for (const connection of this.#connections.values()) connection.beat();
    }, this.#limits.beatMs);
  }

  perform(output: Performed): void {
    const connection = this.#connections.get(output.connection);
    if (output.kind === "probe" && connection === undefined) {
      queueMicrotask(() => this.#options.events.probed(output.connection, false));
    } else if (output.kind === "probe") connection?.probe();
    else if (output.kind === "send") connection?.send(output.message);
    else connection?.end(output.reason);
  }

  /** Lets go of the port and ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#beats);
    const closed = this.server.listening ? once(this.server, "close") : null;
    this.server.close();
    for (const connection of this.#connections.values()) connection.end("control service stops");
    this.server.closeIdleConnections();
    await closed;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = this.#refusalOf(request);
    if (refusal !== null) {
      socket.on("error", () => {}); // The peer may reset it first; nobody else listens here.
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const nodeId = nodeOf(request);
    if (nodeId === null) {
      socket.destroy();
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (opened) => {
      this.#open(opened, nodeId, request.socket.remoteAddress ?? null);
    });
  }

  #refusalOf(request: IncomingMessage): string | null {
    if (request.url !== agentPath) return "404 Not Found";
    const greeting = [...this.#connections.values()].filter(({ isGreeted }) => !isGreeted).length;
    return greeting >= this.#limits.hellosMax ? "503 Service Unavailable\r\nRetry-After: 1" : null;
  }

  #open(socket: WebSocket, nodeId: NodeId, remote: string | null): void {
    const id = `agent-${(this.#opened += 1)}`;
    const { events } = this.#options;
    const log = this.#options.log.child({ nodeId, connection: id, remote });
    const connection = new AgentConnection({
      id,
      socket,
      nodeId,
      limits: this.#limits,
      log,
      received: (message) => events.received(id, message),
      probed: (alive) => events.probed(id, alive),
      closed: () => {
        this.#connections.delete(id);
        log.debug("connection.closed");
        events.disconnected(id);
      },
    });
    this.#connections.set(id, connection);
    log.debug("connection.opened");
  }
}

function nodeOf(request: IncomingMessage): NodeId | null {
  if (!(request.socket instanceof TLSSocket)) return null;
  const identity = identityOf(request.socket);
  return identity.kind === "node" ? parseNodeId(identity.nodeId) : null;
}
