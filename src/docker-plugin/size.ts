import { FlockerError } from "../lib/errors.ts";

const grammar = /^(?<digits>\d{1,64})(?:(?<unit>[kmgt])(?:i?b)?)?$/i;

/** All units are binary, `GB` too, as they were in Flocker 1.15. */
const factors: Readonly<Record<string, number>> = {
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

const forms =
  "a whole number of bytes above 0, or one with a binary unit (k, m, g or t, also written kb or " +
  "kib, in any case), for example 104857600, 512m, 10G or 1TiB";

/**
 * The bytes that the option `size` asks for. What is not of the grammar is an error that names it:
 * a volume is never made with another size than the one that was meant.
 */
export function parseSize(text: string): number {
  const { digits, unit } = grammar.exec(text)?.groups ?? {};
  if (digits === undefined) throw refused(text, `a size is ${forms}`);
  const sizeBytes = Number(digits) * (factors[unit?.toLowerCase() ?? ""] ?? 1);
  if (sizeBytes === 0) throw refused(text, `a size is ${forms}`);
  if (!Number.isSafeInteger(sizeBytes)) {
    throw refused(text, `a size is at most ${Number.MAX_SAFE_INTEGER} bytes (8 PiB less one byte)`);
  }
  return sizeBytes;
}

function refused(text: string, why: string): FlockerError {
  const shown = JSON.stringify(text.slice(0, 64));
  return new FlockerError("INVALID_ARGUMENT", `Option size: ${shown} is not a size: ${why}.`);
}
