import { randomUUID } from "node:crypto";
import type { Server } from "node:https";
import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { onlyRole } from "../../ca/only-role.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { ControlPort } from "./control-port.ts";
import { errorAnswer } from "./error-answer.ts";
import { flockerRoutes } from "./flocker-routes.ts";
import { ownRoutes } from "./own-routes.ts";
import type { Answer, Route } from "./route.ts";

export type RestLimits = {
  readonly bodyBytesMax: number;
  readonly headerBytesMax: number;
  /** Requests that are answered at one time; more are 429. */
  readonly inFlightMax: number;
  readonly connectionsMax: number;
  /** For a request to arrive whole. */
  readonly arrivalMsMax: number;
  /** For answers that are under way when the API is closed. */
  readonly closeMsMax: number;
};

export const restLimits: RestLimits = {
  bodyBytesMax: 1 << 20,
  headerBytesMax: 16 << 10,
  inFlightMax: 512,
  connectionsMax: 4_096,
  arrivalMsMax: 30_000,
  closeMsMax: 5_000,
};

export type RestOptions = {
  readonly control: ControlPort;
  readonly log: Logger;
  /** Of `serverTls`: certificates of users only get past the door. */
  readonly tls: TlsOptions;
  readonly limits?: Partial<RestLimits>;
};

/**
 * The REST API of the control service (port 4523). Ready for `listen`; `close` ends idle
 * connections and waits a while for the answers that are under way.
 */
export function createRestApp(options: RestOptions): FastifyInstance<Server> {
  const { control, log, tls } = options;
  const limits = { ...restLimits, ...options.limits };
  const app = fastify({
    https: { ...tls, maxHeaderSize: limits.headerBytesMax },
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.arrivalMsMax,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: limits.headerBytesMax },
    clientErrorHandler: (error, socket) => refuseConnection(error, socket),
    frameworkErrors: (error, request, reply) => void fail(log, error, request, reply),
  });
  // Idle clients keep their connection: a request must never meet one that is just closing.
  app.server.keepAliveTimeout = 0;
  app.server.headersTimeout = limits.arrivalMsMax;
  app.server.maxConnections = limits.connectionsMax;
  onlyRole(app.server, "user", log);

  const routes = [...flockerRoutes(control), ...ownRoutes(control)];
  takeBytes(app);
  countRequests(app, limits.inFlightMax);
  endLateConnections(app, limits.closeMsMax);
  app.setErrorHandler((error, request, reply) => fail(log, error, request, reply));
  app.setNotFoundHandler((request, reply) => notFound(routes, request, reply));
  for (const { method, path, answer } of routes) {
    app.route<{ Params: { id?: string }; Querystring: Record<string, unknown> }>({
      method,
      url: path,
      handler: async ({ params, query, body }, reply) =>
        send(reply, await answer({ id: params.id ?? "", query, body })),
    });
  }
  app.addHook("onResponse", (request, reply, done) => {
    log.debug("request.answered", {
      requestId: request.id,
      method: request.method,
      path: request.url,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
    });
    done();
  });
  return app;
}

/** As bytes: a route that ignores its body does so, and one that reads it sees all of it. */
function takeBytes(app: FastifyInstance<Server>): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  // The original never looked at the content type; Fastify refuses some before any parser.
  app.addHook("onRequest", (request, _reply, done) => {
    delete request.raw.headers["content-type"];
    done();
  });
}

function countRequests(app: FastifyInstance<Server>, inFlightMax: number): void {
  let inFlight = 0;
  app.addHook("onRequest", (_request, reply, done) => {
    inFlight += 1;
    reply.raw.once("close", () => {
      inFlight -= 1;
    });
    if (inFlight <= inFlightMax) return done();
    void reply.header("Retry-After", "1");
    return done(
      new FlockerError("TOO_MANY_REQUESTS", "Too many requests at one time; ask again in 1 s."),
    );
  });
}

/** Node.js does not count a connection as idle on which nothing was ever asked. */
function endLateConnections(app: FastifyInstance<Server>, closeMsMax: number): void {
  let timer: NodeJS.Timeout | undefined;
  app.addHook("preClose", (done) => {
    timer = setTimeout(() => app.server.closeAllConnections(), closeMsMax);
    done();
  });
  app.addHook("onClose", (_instance, done) => {
    clearTimeout(timer);
    done();
  });
}

/** Bytes instead of an object: Fastify would add a charset to the content type. */
function send(reply: FastifyReply, { status, body }: Answer): FastifyReply {
  return reply
    .code(status)
    .header("Content-Type", "application/json")
    .send(Buffer.from(JSON.stringify(body)));
}

function fail(
  log: Logger,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const answer = errorAnswer(error, request.id);
  if (answer.status === 500) {
    log.error("request.failed", {
      requestId: request.id,
      method: request.method,
      path: request.url,
      code: answer.body.code,
      stack: error instanceof Error ? error.stack : String(error),
    });
  }
  return send(reply, answer);
}

function notFound(
  routes: readonly Route[],
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const path = request.url.split("?")[0] ?? "";
  const methods = routes
    .filter((route) => new RegExp(`^${route.path.replace(":id", "[^/]+")}$`).test(path))
    .flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  if (methods.length === 0) {
    throw new FlockerError("NOT_FOUND", `There is no ${path.slice(0, 200)} here.`);
  }
  void reply.header("Allow", methods.join(", "));
  throw new FlockerError(
    "METHOD_NOT_ALLOWED",
    `${request.method} is not allowed here, only ${methods.join(", ")}.`,
  );
}

/** What could not be read as HTTP: too long a header, too slow, or no HTTP at all. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const [status, description] = clientErrors[error.code ?? ""] ?? [
    "400 Bad Request",
    "The request is not HTTP.",
  ];
  const body = JSON.stringify({ description, code: "INVALID_ARGUMENT" });
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nConnection: close\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}

const clientErrors: Readonly<Record<string, readonly [status: string, description: string]>> = {
  HPE_HEADER_OVERFLOW: [
    "431 Request Header Fields Too Large",
    "The headers of the request are too large.",
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request did not arrive in time."],
};
