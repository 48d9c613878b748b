import { describe, expect, test } from "vitest";
import { parseMetadata, parseSize } from "./parse-values.ts";

describe("sizes", () => {
  test.each([
    ["104857600", 104_857_600],
    ["1", 1],
    ["100MB", 104_857_600],
    ["100mib", 104_857_600],
    ["1k", 1024],
    ["1.5G", 1_610_612_736],
    ["0.1g", 107_374_592],
    ["2 T", 2 ** 41],
  ])("%s is %i bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(["1e9", "", "G", "-1", "1.5", "10GG", "ten", "0x10", "1,5G"])(
    "%j is malformed, and the message shows how it is written",
    (text) => {
      expect(() => parseSize(text)).toThrow("like 10G");
    },
  );

  test("nothing, and more than can be counted, are refused", () => {
    expect(() => parseSize("0")).toThrow("holds nothing");
    expect(() => parseSize("9223372036854775808")).toThrow("beyond all bounds");
    expect(() => parseSize("9000000T")).toThrow("beyond all bounds");
  });
});

describe("metadata", () => {
  test("is pairs; a value may have equals signs or be empty", () => {
    expect(parseMetadata("name=shop,a=b=c,empty=")).toEqual({ name: "shop", a: "b=c", empty: "" });
    expect(parseMetadata("")).toEqual({});
  });

  test.each(["name", "=x", "a=b,", "a=b,c"])("%j is malformed", (text) => {
    expect(() => parseMetadata(text)).toThrow(
      `malformed metadata specification '${text}', please use format 'a=b,c=d'`,
    );
  });
});
