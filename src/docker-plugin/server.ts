import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { chmod } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { PluginCall, VolumePlugin } from "../agent/core/plugin-call.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { unreachable } from "../lib/assert.ts";
import { type ParsedRequest, callKindOf, parseRequest } from "./request.ts";
import { type ResponseBody, errorBody, responseBody } from "./response.ts";
import { readBody } from "./read-body.ts";
import { claimSocketPath } from "./socket.ts";

export type PluginServerOptions = {
  readonly socketPath: string;
  readonly port: VolumePlugin;
  readonly log: Logger;
};

/** Disposing stops it: calls that wait are answered with an error, the socket is removed. */
export interface PluginServer extends AsyncDisposable {
  readonly socketPath: string;
}

const limits = { bytesMax: 64 * 1024, deadlineMs: 30_000 };
const pendingMax = 1_000;
/** Once for calls to end by themselves, once more for those that were aborted. */
const stopMsMax = 1_000;

/**
 * Serves the volume plugin API (version 1.2 and before) on a unix socket that only root can reach,
 * and resolves once it accepts connections. A living server on that path is `PORT_IN_USE`.
 */
export async function startPluginServer(options: PluginServerOptions): Promise<PluginServer> {
  await claimSocketPath(options.socketPath);
  const state: State = { ...options, pending: new Set(), calls: new Set() };
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    const ended = new Promise<void>((resolve) => {
      response.once("close", resolve);
    });
    state.pending.add(ended);
    void ended.then(() => state.pending.delete(ended));
    serve(state, request, response).catch((error: unknown) => {
      state.log.error("plugin_request.failed", { err: error });
      response.destroy();
    });
  });
  // The engine keeps connections for later calls. One that is closed here while it sends a call
  // makes it try again with an empty body, so only the engine closes them.
  server.keepAliveTimeout = 0;
  server.headersTimeout = 0;
  server.requestTimeout = 0;
  await listen(server, options.socketPath);
  await chmod(options.socketPath, 0o600);
  return {
    socketPath: options.socketPath,
    [Symbol.asyncDispose]: () => stop(server, state),
  };
}

type State = PluginServerOptions & {
  /** One for each request whose answer is neither written nor given up. */
  readonly pending: Set<Promise<void>>;
  /** One for each call that the port works on; a signal for all would keep them all for ever. */
  readonly calls: Set<AbortController>;
};

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const message = `cannot listen on ${path}: ${cause.message}`;
      reject(new FlockerError("CONFIGURATION_INVALID", message, { cause }));
    });
    server.listen(path, resolve);
  });
}

async function stop(server: Server, state: State): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  if (!(await settled(state.pending, stopMsMax))) {
    for (const call of state.calls) call.abort(stopped);
    await settled(state.pending, stopMsMax);
  }
  server.closeAllConnections();
  await closed;
}

/** Whether all have ended; after `msMax` the answer is no. */
async function settled(pending: ReadonlySet<Promise<void>>, msMax: number): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(msMax, false, { signal: over.signal }).catch(() => false);
  const all = Promise.all(pending).then(() => true);
  const ended = await Promise.race([all, late]);
  over.abort();
  return ended;
}

async function serve(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  const fixed = fixedAnswers[path];
  const kind = callKindOf(path);
  if (fixed === undefined && kind === null) {
    request.resume();
    return send(response, 404, { Err: `There is no call ${path.slice(0, 128)}.` });
  }
  if (request.method !== "POST") {
    request.resume();
    response.setHeader("allow", "POST");
    return send(response, 405, { Err: `The method of ${path} is POST.` });
  }
  const body = await readBody(request, limits);
  if (body.kind === "broken") {
    response.destroy();
    return;
  }
  if (body.kind === "too_large") {
    response.setHeader("connection", "close");
    return send(response, 413, { Err: `A request has at most ${limits.bytesMax} bytes.` });
  }
  if (kind === null) return send(response, 200, fixed ?? {});
  if (state.pending.size > pendingMax) {
    return send(response, 200, errorBody(kind, `Over ${pendingMax} calls wait. Try again later.`));
  }
  const { status, answer } = await answerOf(state, { kind, body: body.text }, response);
  return send(response, status, answer);
}

/**
 * The same for every body. The scope is `global`: a name means the same volume on each node, and a
 * scheduler above the engines must not count one volume as several.
 */
const fixedAnswers: Readonly<Record<string, ResponseBody>> = {
  "/Plugin.Activate": { Implements: ["VolumeDriver"] },
  "/VolumeDriver.Capabilities": { Capabilities: { Scope: "global" } },
};

type Reply = { readonly status: number; readonly answer: ResponseBody };

async function answerOf(
  state: State,
  { kind, body }: { readonly kind: PluginCall["kind"]; readonly body: string },
  response: ServerResponse,
): Promise<Reply> {
  let parsed: ParsedRequest;
  try {
    parsed = parseRequest(kind, body);
  } catch (error) {
    if (!(error instanceof FlockerError)) throw error;
    parsed = { kind: "answer", error: error.message };
  }
  switch (parsed.kind) {
    case "malformed":
      return { status: 400, answer: errorBody(kind, parsed.error) };
    case "answer":
      return { status: 200, answer: errorBody(kind, parsed.error) };
    case "call":
      return { status: 200, answer: await ask(state, parsed.call, response) };
    default:
      return unreachable(parsed);
  }
}

/** Why a call was aborted. */
const stopped = new FlockerError(
  "CONTROL_UNAVAILABLE",
  "The Flocker agent is being stopped. Try again.",
);
const abandoned = new FlockerError("DEADLINE_EXCEEDED", "Nobody waits for this answer.");

async function ask(
  { port, log, calls }: State,
  call: PluginCall,
  response: ServerResponse,
): Promise<ResponseBody> {
  const begunMs = performance.now();
  const fields = {
    call: call.kind,
    ...("name" in call ? { name: call.name } : {}),
    ...("id" in call ? { userId: call.id } : {}),
  };
  const durationMs = (): number => Math.round(performance.now() - begunMs);
  const abort = new AbortController();
  calls.add(abort);
  response.once("close", () => {
    calls.delete(abort);
    if (response.writableFinished) return;
    log.info("plugin_call.abandoned", { ...fields, durationMs: durationMs() });
    abort.abort(abandoned);
  });
  try {
    const answer = await Promise.race([port.call(call, abort.signal), rejection(abort.signal)]);
    const error = answer.kind === "error" ? { error: answer.message } : {};
    log.debug("plugin_call.answered", { ...fields, ...error, durationMs: durationMs() });
    return responseBody(call.kind, answer);
  } catch (thrown) {
    const error: unknown = abort.signal.aborted ? abort.signal.reason : thrown;
    if (error instanceof FlockerError) return errorBody(call.kind, error.message);
    log.error("plugin_call.failed", { ...fields, err: error, durationMs: durationMs() });
    return errorBody(call.kind, `Internal error of the Flocker agent: ${messageOf(error)}`);
  }
}

/** So that nobody waits for an answer that is not wanted any more. */
function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function send(response: ServerResponse, status: number, body: ResponseBody): void {
  if (response.destroyed) return;
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}
