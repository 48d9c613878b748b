import {
  assert as assertProperty,
  boolean,
  constantFrom,
  infiniteStream,
  integer,
  oneof,
  property,
  string,
} from "fast-check";
import { describe, expect, it } from "vitest";
import { hasCode } from "../lib/errors.ts";
import { parseSize } from "./size.ts";

const powers = { k: 10, m: 20, g: 30, t: 40 } as const;

function outcomeOf(text: string): readonly [sizeBytes: number | null, refusal: unknown] {
  try {
    return [parseSize(text), null];
  } catch (error) {
    return [null, error];
  }
}

describe("parseSize", () => {
  it("multiplies by the binary unit, however it is written", () => {
    const unit = constantFrom("k", "m", "g", "t");
    const suffix = constantFrom("", "b", "ib");
    assertProperty(
      property(
        integer({ min: 1, max: 8191 }),
        unit,
        suffix,
        infiniteStream(boolean()),
        (n, u, s, upper) => {
          const written = Array.from(`${u}${s}`, (c) => (upper.next().value ? c.toUpperCase() : c));
          expect(parseSize(`${n}${written.join("")}`)).toBe(n * 2 ** powers[u]);
        },
      ),
    );
  });

  it("says how much is the most, however much was asked for", () => {
    for (const text of ["9223372036854775808", "9".repeat(40), "9007199254740992", "8192t"]) {
      expect(() => parseSize(text)).toThrow(
        /is not a size: a size is at most 9007199254740991 bytes/,
      );
    }
  });

  it("takes plain digits as bytes, exactly", () => {
    assertProperty(
      property(integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (n) => {
        expect(parseSize(String(n))).toBe(n);
      }),
    );
  });

  it("never answers anything but a positive safe integer", () => {
    const alphabet = constantFrom(...Array.from("0123456789.-+eExXkKmMgGtTiIbB _,"));
    const text = oneof(string(), string({ unit: alphabet, maxLength: 20 }));
    assertProperty(
      property(text, (given) => {
        const [sizeBytes, refusal] = outcomeOf(given);
        expect(refusal === null || hasCode(refusal, "INVALID_ARGUMENT")).toBe(true);
        const isSize = /^\d+([kmgt](i?b)?)?$/i.test(given) && /[1-9]/.test(given);
        expect(sizeBytes === null || (isSize && Number.isSafeInteger(sizeBytes))).toBe(true);
        expect(sizeBytes === null || sizeBytes > 0).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["75g", 80_530_636_800],
    ["75GiB", 80_530_636_800],
    ["80530636800", 80_530_636_800],
    ["1tb", 2 ** 40],
    ["64M", 2 ** 26],
    ["65536kib", 2 ** 26],
    ["1", 1],
    ["0104857600", 104_857_600],
  ])("%s is %d bytes", (text, sizeBytes) => {
    expect(parseSize(text)).toBe(sizeBytes);
  });

  it.each(
    [
      ["", " ", "0", "0g", "-1", "-1g", "+1g", "1e9", "0x10", "10.5g", "1.0", "1,5g", "10 GB"],
      ["1b", "1ib", "10p", "10foogib", "10bar10", "10Gfoo", "foo10Gb", "GIB", "1g\n", "١g"],
    ].flat(),
  )("%j is an error that names the accepted forms", (text) => {
    expect(() => parseSize(text)).toThrow(/is not a size: a size is a whole number .*1TiB/);
  });

  it.each(["9223372036854775808", "9007199254740992", "8192t", "9999999999999999t"])(
    "%s is refused, and not rounded",
    (text) => {
      expect(() => parseSize(text)).toThrow(/is not a size: a size is/);
    },
  );
});
