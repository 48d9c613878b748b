import type { StreamSum } from "../backends/local.ts";
import { type OpId, parseOpId } from "../domain/ids.ts";
import type { StreamStage } from "../domain/local-copy.ts";
import { type ErrorCode, FlockerError, isErrorCode } from "../lib/errors.ts";

/**
 * Between the agents of a move, HTTP over TLS 1.3: the target asks, the source answers.
 *
 *   GET  /v1/streams/<move>/base                   the bulk
 *   GET  /v1/streams/<move>/delta?on_base=true     what is missing since; whole without a base
 *   POST /v1/streams/<move>/confirm?bytes=&digest= 204: it is all there is; 409: it is not
 *
 * A stream's headers tell whether it is on the base and how long it will roughly be; its trailers,
 * after the last byte, what the source counted. A stream without trailers is not whole.
 */
export const headers = { onBase: "flocker-on-base", totalBytes: "flocker-total-bytes" } as const;
export const trailers = { bytes: "flocker-bytes", digest: "flocker-digest" } as const;

export type PeerRequest =
  | {
      readonly kind: "stream";
      readonly move: OpId;
      readonly stage: StreamStage;
      readonly onBase: boolean;
    }
  | { readonly kind: "confirm"; readonly move: OpId; readonly sum: StreamSum };

export function pathOf(request: PeerRequest): string {
  const root = `/v1/streams/${request.move}`;
  if (request.kind === "stream") return `${root}/${request.stage}?on_base=${request.onBase}`;
  const { bytes, digest } = request.sum;
  return `${root}/confirm?bytes=${bytes}&digest=${digest}`;
}

/** Null for anything that is no request of this protocol. */
export function parsePeerRequest(method: string, target: string): PeerRequest | null {
  const url = URL.parse(target, "https://peer");
  const [, id = "", what = ""] =
    /^\/v1\/streams\/([0-9a-f-]{36})\/(base|delta|confirm)$/.exec(url?.pathname ?? "") ?? [];
  const move = moveOf(id);
  if (url === null || move === null) return null;
  if (method === "POST" && what === "confirm") {
    const sum = parseSum(url.searchParams.get("bytes"), url.searchParams.get("digest"));
    return sum === null ? null : { kind: "confirm", move, sum };
  }
  if (method !== "GET" || (what !== "base" && what !== "delta")) return null;
  return { kind: "stream", move, stage: what, onBase: url.searchParams.get("on_base") === "true" };
}

function moveOf(text: string): OpId | null {
  try {
    return parseOpId(text);
  } catch {
    return null;
  }
}

/** What one end counted, as the other is told; null when it is not that. */
export function parseSum(
  bytes: string | null | undefined,
  digest: string | null | undefined,
): StreamSum | null {
  const count = parseCount(bytes);
  return count !== null && /^[0-9a-f]{64}$/.test(digest ?? "")
    ? { bytes: count, digest: digest ?? "" }
    : null;
}

export function parseCount(text: string | null | undefined): number | null {
  if (text === null || text === undefined || !/^\d{1,16}$/.test(text)) return null;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : null;
}

/** The flat object in which every refusal is said. */
export type Refusal = { readonly code: ErrorCode; readonly description: string };

/** A refusal as it came from the other end; what cannot be understood is no code of ours. */
export function errorOf(body: string, where: string): FlockerError {
  const { code, description } = parseRefusal(body);
  return new FlockerError(code, `${where}: ${description}`);
}

function parseRefusal(body: string): Refusal {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && "code" in value && "description" in value) {
      const { code, description } = value;
      if (isErrorCode(code) && typeof description === "string") return { code, description };
    }
  } catch {
    // Not of this protocol; said below.
  }
  return { code: "PROTOCOL_ERROR", description: "it gave an answer that is not understood" };
}
