import { UsageError } from "./command.ts";

const units: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const stepBytes = 1024; // The API of Flocker 1.15 takes multiples of this only.

/**
 * Bytes, or a number with k, M, G or T, binary, as `10G`, `1.5GiB`, `500mb`. A number with a unit
 * is rounded up to whole kibibytes; bytes are taken as they are.
 */
export function parseSize(text: string): number {
  const [, digits = "", unit] = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?)?$/i.exec(text) ?? [];
  const factor = unit === undefined ? 1 : (units[unit.toLowerCase()] ?? 0);
  if (digits === "" || (factor === 1 && digits.includes("."))) {
    throw new UsageError(
      `malformed size '${text}': give bytes, or a number with k, M, G or T, like 10G`,
    );
  }
  const exact = Number(digits) * factor;
  const bytes = factor === 1 ? exact : Math.ceil(exact / stepBytes) * stepBytes;
  if (bytes < 1) throw new UsageError(`a size of '${text}' holds nothing`);
  if (!Number.isSafeInteger(bytes))
    throw new UsageError(`a size of '${text}' is beyond all bounds`);
  return bytes;
}

/** One of a few words, which the message lists. */
function oneOf<const Word extends string>(
  what: string,
  words: readonly Word[],
): (text: string) => Word {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new UsageError(`no such ${what}: '${text}' (there are ${words.join(", ")})`);
  };
}

export const parseFileSystem = oneOf("file system", ["ext4", "xfs"]);
export const parseReclaim = oneOf("reclaim policy", ["trash", "delete", "retain"]);

/** `a=b,c=d`; a value may contain further equals signs. */
export function parseMetadata(text: string): Readonly<Record<string, string>> {
  const pairs = text === "" ? [] : text.split(",").map((pair) => pairOf(pair, text));
  return Object.fromEntries(pairs);
}

function pairOf(pair: string, text: string): readonly [string, string] {
  const at = pair.indexOf("=");
  if (at < 1) {
    throw new UsageError(`malformed metadata specification '${text}', please use format 'a=b,c=d'`);
  }
  return [pair.slice(0, at), pair.slice(at + 1)];
}
