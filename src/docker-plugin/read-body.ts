import type { IncomingMessage } from "node:http";

export type Body =
  | { readonly kind: "complete"; readonly text: string }
  | { readonly kind: "too_large" }
  /** The connection broke, or the rest did not come in time (then it is closed here). */
  | { readonly kind: "broken" };

type Limits = { readonly bytesMax: number; readonly deadlineMs: number };

/** The whole body of a request, within limits of size and time. */
export async function readBody(request: IncomingMessage, limits: Limits): Promise<Body> {
  const timer = setTimeout(() => request.destroy(), limits.deadlineMs);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no encoding is set
      const part = chunk as Buffer;
      bytes += part.length;
      if (bytes > limits.bytesMax) return { kind: "too_large" };
      chunks.push(part);
    }
    return { kind: "complete", text: Buffer.concat(chunks).toString("utf8") };
  } catch {
    return { kind: "broken" };
  } finally {
    clearTimeout(timer);
  }
}
