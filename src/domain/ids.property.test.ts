import { assert, property, string, uuid } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  parseBootId,
  parseClusterId,
  parseDatasetId,
  parseNodeId,
  parseOpId,
  parseVolumeRef,
} from "./ids.ts";

const strict = { parseDatasetId, parseNodeId };
const anyVersion = { parseBootId, parseClusterId, parseOpId };

describe.each(Object.entries({ ...strict, ...anyVersion }))("%s", (_, parse) => {
  test("takes version 4 in either case, gives lower case, and takes that again", () => {
    assert(
      property(uuid({ version: 4 }), (id) => {
        expect(parse(id.toUpperCase())).toBe(id);
        expect(parse(parse(id))).toBe(id);
      }),
    );
  });

  test("takes nothing else: no braces, spaces, line ends, prefixes", () => {
    assert(
      property(uuid({ version: 4 }), string({ minLength: 1 }), (id, more) => {
        for (const text of [`${id}${more}`, `${more}${id}`, id.slice(1), `${id}\n`, more]) {
          expect(() => parse(text)).toThrow(/^not a/);
        }
      }),
    );
  });
});

test("ids of datasets and nodes are of version 4 alone, those of boots and ops of any", () => {
  assert(
    property(uuid({ version: [1, 7] }), (id) => {
      for (const parse of Object.values(strict)) expect(() => parse(id)).toThrow(/version 4/);
      for (const parse of Object.values(anyVersion)) expect(parse(id)).toBe(id);
    }),
  );
});

test("a long text that is no id is shortened in the message", () => {
  expect(() => parseDatasetId("x".repeat(1000))).toThrow(/x{64}$/);
});

test("a volume's reference is any text of 1 to 512 characters, unchanged", () => {
  assert(
    property(string({ minLength: 1, maxLength: 512 }), (text) => {
      expect(parseVolumeRef(text)).toBe(text);
    }),
  );
  for (const text of ["", "x".repeat(513)]) expect(() => parseVolumeRef(text)).toThrow(/512/);
});
