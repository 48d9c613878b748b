import { describe, expect, it } from "vitest";
import { parseRequest } from "./request.ts";

function create(options: unknown): unknown {
  return parseRequest("create", JSON.stringify({ Name: "shop", Opts: options }));
}

const none = { sizeBytes: null, pool: null, fileSystem: null, reclaim: null, profile: null };

describe("the options of Create", () => {
  it.each([[null], [undefined], [{}], [{ profile: "" }]])("%j are none", (options) => {
    const call = { kind: "create", name: "shop", options: none };
    expect(create(options)).toEqual({ kind: "call", call });
  });

  it("are all understood together", () => {
    const given = { size: "1g", pool: "fast", fs: "xfs", reclaim: "retain", profile: "gold" };
    const options = {
      sizeBytes: 2 ** 30,
      pool: "fast",
      fileSystem: "xfs",
      reclaim: "retain",
      profile: "gold",
    };
    expect(create(given)).toEqual({
      kind: "call",
      call: { kind: "create", name: "shop", options },
    });
  });

  it.each([
    [{ sise: "1g" }, /Unknown option "sise". The options are size, pool, fs, reclaim, profile\./],
    [{ Size: "1g" }, /Unknown option "Size"/],
    [{ a: "", b: "" }, /Unknown option "a", "b"/],
    [JSON.parse('{"__proto__": "1"}'), /Unknown option "__proto__"/],
    [{ size: 5 }, /Option size: the value is not a text/],
    [{ size: "" }, /Option size: "" is not a size/],
    [{ pool: "" }, /Option pool: "" cannot be the name of a pool/],
    [{ pool: "../x" }, /Option pool: "..\/x" cannot be/],
    [{ fs: "btrfs" }, /Option fs: "btrfs" is none of ext4, xfs\./],
    [{ reclaim: "Trash" }, /Option reclaim: "Trash" is none of trash, delete, retain\./],
    [{ profile: "platinum" }, /Option profile: "platinum" is none of gold, silver, bronze\./],
    [["size"], /Opts is not an object/],
    ["size=1g", /Opts is not an object/],
  ])("%j are refused", (options, message) => {
    expect(() => create(options)).toThrow(message);
  });
});

describe("the name", () => {
  it.each(["a", "9", "a".repeat(128), "Shop_db.2-x"])("%s can be created", (name) => {
    expect(parseRequest("create", JSON.stringify({ Name: name }))).toMatchObject({ kind: "call" });
  });

  const impossible = ["-a", ".a", "a/b", "a b", "ä", "a".repeat(129), "a\n"];
  it.each(impossible)("%j cannot be created, and the error says why", (name) => {
    const body = JSON.stringify({ Name: name });
    expect(() => parseRequest("create", body)).toThrow(/begins with a letter or digit/);
  });

  it.each(impossible)("%j is known to be no volume, without asking", (name) => {
    const body = JSON.stringify({ Name: name, ID: "1" });
    const unknown = { kind: "answer", error: "Could not find volume with given name." };
    for (const kind of ["get", "path", "mount"] as const) {
      expect(parseRequest(kind, body)).toEqual(unknown);
    }
    for (const kind of ["remove", "unmount"] as const) {
      expect(parseRequest(kind, body)).toEqual({ kind: "answer", error: "" });
    }
  });

  it("must be there and be a text", () => {
    expect(() => parseRequest("mount", "{}")).toThrow(/no Name/);
    expect(() => parseRequest("mount", '{"Name": ""}')).toThrow(/no Name/);
    expect(() => parseRequest("mount", '{"Name": 5}')).toThrow(/Name of the request is not a text/);
    expect(() => parseRequest("mount", '{"Name": "a", "ID": 5}')).toThrow(/ID of the request/);
  });
});

describe("an empty body", () => {
  it.each(["create", "remove", "mount", "unmount", "path", "get"] as const)(
    "is an error of %s, never a call",
    (kind) => {
      for (const body of ["", " \n"]) {
        expect(parseRequest(kind, body)).toEqual({
          kind: "answer",
          error: expect.stringContaining("The request is empty"),
        });
      }
    },
  );

  it("is what List looks like at times", () => {
    expect(parseRequest("list", "")).toEqual({ kind: "call", call: { kind: "list" } });
  });
});

it("fields of a newer engine are ignored, a missing ID is the empty one", () => {
  expect(parseRequest("mount", '{"Name": "a", "New": 1}')).toEqual({
    kind: "call",
    call: { kind: "mount", name: "a", id: "" },
  });
});
