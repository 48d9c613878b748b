import { FlockerError } from "../../lib/errors.ts";

/** A number that was written with a fraction or an exponent: `1.0` is no integer on this wire. */
export class JsonFloat {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/** An integer that a number of ours would change: the text of an error shows it as it was sent. */
export class JsonLargeInteger {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonFloat
  | JsonLargeInteger
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** The newline is part of the original's text. */
const undecodable =
  "The request body could not be decoded according to the value of the\nContent-Type header.";

/** The body of a request, whatever its content type says; anything that is no JSON is 400. */
export function decodeJson(body: unknown): JsonValue {
  try {
    if (!(body instanceof Uint8Array)) throw new SyntaxError("no body");
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
    const value: JsonValue = JSON.parse(text, keepSource);
    return value;
  } catch (cause) {
    // A SyntaxError, a TypeError of the decoder, or a RangeError: nested too deep for the stack.
    throw new FlockerError("INVALID_ARGUMENT", undecodable, { cause });
  }
}

function keepSource(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined) return value;
  if (/[.eE]/.test(source)) return new JsonFloat(source);
  return Number.isSafeInteger(value) ? value : new JsonLargeInteger(source);
}
