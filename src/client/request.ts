import type { IncomingMessage } from "node:http";
import { type Agent, request } from "node:https";
import { type ErrorCode, FlockerError, isErrorCode, messageOf } from "../lib/errors.ts";

/** Where a control service answers, for the messages. */
export type Endpoint = { readonly host: string; readonly port: number };

export type Answer = { readonly status: number; readonly body: unknown };

export type Exchange = {
  readonly endpoint: Endpoint;
  readonly agent: Agent;
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: object | undefined;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onWaiting?: (() => void) | undefined;
};

/** Longer than this and a person wants to know what is waited for. */
const waitingAfterMs = 2_000;

/** No list of a cluster's datasets comes near this; something else would be answering. */
const answerBytesMax = 256 << 20;

/**
 * One request and its JSON answer, of whatever status. Rejects with `CONTROL_UNAVAILABLE`,
 * `CERTIFICATE_INVALID`, `DEADLINE_EXCEEDED` or `PROTOCOL_ERROR`, in words that name the endpoint.
 */
export function exchange(call: Exchange): Promise<Answer> {
  const { endpoint, agent, method, path, body, deadlineMs, signal, onWaiting } = call;
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { "Content-Type": "application/json" };
    const outgoing = request(
      { ...endpoint, agent, method, path, headers, ...(signal && { signal }) },
      (response) => {
        readJson(response, endpoint).then(
          (answer) => resolve(answer),
          (error: unknown) => reject(translated(error, endpoint, signal)),
        );
      },
    );
    const timer = setTimeout(() => {
      const late = `${nameOf(endpoint)} did not answer within ${deadlineMs / 1000} s`;
      outgoing.destroy(
        new FlockerError("DEADLINE_EXCEEDED", `${late}; what was asked for may still happen`),
      );
    }, deadlineMs);
    outgoing.on("error", (error) => reject(translated(error, endpoint, signal)));
    const waiting = setTimeout(() => onWaiting?.(), waitingAfterMs);
    outgoing.on("close", () => {
      clearTimeout(timer);
      clearTimeout(waiting);
    });
    outgoing.end(text);
  });
}

async function readJson(response: IncomingMessage, endpoint: Endpoint): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    if (!(chunk instanceof Buffer)) continue;
    bytes += chunk.length;
    if (bytes > answerBytesMax) {
      response.destroy();
      throw new FlockerError("PROTOCOL_ERROR", `${nameOf(endpoint)} sent an endless answer`);
    }
    chunks.push(chunk);
  }
  const status = response.statusCode ?? 0;
  try {
    return { status, body: JSON.parse(Buffer.concat(chunks).toString("utf8")) };
  } catch (cause) {
    throw new FlockerError(
      "PROTOCOL_ERROR",
      `${nameOf(endpoint)} answered ${status} without JSON: it is older than this program, ` +
        "or no control service of Flocker",
      { cause },
    );
  }
}

export function nameOf({ host, port }: Endpoint): string {
  return `The control service at ${host}:${port}`;
}

/** What to tell about a connection that did not come about, by the code that Node.js gives. */
const reasons: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ECONNREFUSED: ["CONTROL_UNAVAILABLE", "cannot be reached: nothing listens there. Is it running?"],
  ENOTFOUND: ["CONTROL_UNAVAILABLE", "cannot be reached: no such host name is known here"],
  EAI_AGAIN: ["CONTROL_UNAVAILABLE", "cannot be reached: the name server does not answer"],
  EHOSTUNREACH: ["CONTROL_UNAVAILABLE", "cannot be reached: there is no way to that host"],
  ENETUNREACH: ["CONTROL_UNAVAILABLE", "cannot be reached: there is no way to that network"],
  ETIMEDOUT: ["CONTROL_UNAVAILABLE", "cannot be reached: the host does not answer"],
  ECONNRESET: [
    "CONTROL_UNAVAILABLE",
    "closed the connection: it is stopping, or does not take this certificate " +
      "(it takes user certificates of its own cluster only)",
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "CERTIFICATE_INVALID",
    "is none: its certificate does not carry the name control-service",
  ],
  CERT_HAS_EXPIRED: ["CERTIFICATE_INVALID", "has a certificate that expired"],
  CERT_NOT_YET_VALID: [
    "CERTIFICATE_INVALID",
    "has a certificate that is not valid yet. Are the clocks right?",
  ],
  EPROTO: ["CERTIFICATE_INVALID", "does not speak TLS there, or not this version"],
};

const foreignAuthority =
  "has a certificate of another cluster: it was not signed by this cluster.crt";
const foreignCodes = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
];

function translated(error: unknown, endpoint: Endpoint, signal?: AbortSignal): unknown {
  if (signal?.aborted === true || error instanceof FlockerError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const [kind, reason] = reasonOf(code, error);
  return new FlockerError(kind, `${nameOf(endpoint)} ${reason}`, { cause: error });
}

function reasonOf(code: string, error: unknown): readonly [ErrorCode, string] {
  const known = reasons[code];
  if (known !== undefined) return known;
  if (foreignCodes.includes(code)) return ["CERTIFICATE_INVALID", foreignAuthority];
  if (code.startsWith("ERR_SSL_")) {
    return ["CERTIFICATE_INVALID", `refused this certificate (${messageOf(error)})`];
  }
  return ["CONTROL_UNAVAILABLE", `cannot be asked: ${messageOf(error)}`];
}

const codesByStatus: Readonly<Record<number, ErrorCode>> = {
  400: "INVALID_ARGUMENT",
  403: "NOT_AUTHORIZED",
  404: "NOT_FOUND",
  405: "METHOD_NOT_ALLOWED",
  409: "REVISION_CONFLICT",
  413: "BODY_TOO_LARGE",
  429: "TOO_MANY_REQUESTS",
  503: "CONTROL_UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
  507: "STORE_FULL",
};

/** The code that a control service sent, or the nearest to its status if it is none of ours. */
export function codeOf(code: string | undefined, status: number): ErrorCode {
  if (isErrorCode(code)) return code;
  return codesByStatus[status] ?? "INTERNAL";
}
