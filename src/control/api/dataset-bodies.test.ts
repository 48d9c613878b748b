import { describe, expect, test } from "vitest";
import { absentId, configuration, notSchema, testApi, undecodable } from "./test-api.ts";
import { nodeA } from "./test-control.ts";

const all = configuration;
const absent = absentId;

const ofType = (value: string, type: string): string => `${value} is not of type ${type}`;
const long = "x".repeat(257);
const entries = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, "x".repeat(256)]));

/** The cases of Flocker 1.15: names, and bodies or their text. */
const accepted: readonly (readonly [name: string, given: unknown])[] = [
  ["D1 primary alone", { primary: nodeA }],
  ["D3 16 entries of metadata", { primary: nodeA, metadata: entries(16) }],
  [
    "D6 256 code points beyond 16 bits",
    { primary: nodeA, metadata: { k: "\u{1f433}".repeat(256) } },
  ],
  ["D9 dataset_id", { primary: nodeA, dataset_id: absent }],
  ["D13 64 MiB", { primary: nodeA, maximum_size: 67108864 }],
  ["D13 the old tutorial's 100 MB", { primary: nodeA, maximum_size: 104857600 }],
  ["D14 null", { primary: nodeA, maximum_size: null }],
  ["D22 deleted: false", { primary: nodeA, deleted: false }],
];

/** The same with a part of one of the errors. */
const refused: readonly (readonly [name: string, given: unknown, expected: string])[] = [
  ["D2 nothing", {}, "'primary' is a required property"],
  ["D4 17 entries of metadata", { primary: nodeA, metadata: entries(17) }, "too many properties"],
  ["D4 257 entries of metadata", { primary: nodeA, metadata: entries(257) }, "too many properties"],
  [
    "D5 long key",
    { primary: nodeA, metadata: { [long]: "" } },
    "does not match any of the regexes",
  ],
  ["D5 empty key", { primary: nodeA, metadata: { "": "" } }, "does not match any of the regexes"],
  ["D6 long value", { primary: nodeA, metadata: { k: long } }, "is too long"],
  ["D7 number as value", { primary: nodeA, metadata: { foo: 10 } }, ofType("10", "'string'")],
  ["D8 number as metadata", { primary: nodeA, metadata: 10 }, ofType("10", "'object'")],
  ["D10 35 characters", { primary: nodeA, dataset_id: absent.slice(1) }, "is too short"],
  ["D10 37 characters", { primary: nodeA, dataset_id: `${absent}9` }, "is too long"],
  [
    "D11 version 3",
    { primary: nodeA, dataset_id: "75a15c23-8dd6-3f29-8164-6d60928bf3cc" },
    "does not match '^[A-Fa-f0-9]{8}-",
  ],
  ["D12 number", { primary: nodeA, dataset_id: 10 }, ofType("10", "'string'")],
  ["D17 text", { primary: nodeA, maximum_size: "123" }, ofType("u'123'", "'integer', 'null'")],
  [
    "D18 a float",
    `{"primary":"${nodeA}","maximum_size":67108864.0}`,
    ofType("67108864.0", "'integer', 'null'"),
  ],
  [
    "D18 an exponent",
    `{"primary":"${nodeA}","maximum_size":1e9}`,
    ofType("1e9", "'integer', 'null'"),
  ],
  ["D18 a bool", { primary: nodeA, maximum_size: true }, ofType("True", "'integer', 'null'")],
  [
    "2^63",
    `{"primary":"${nodeA}","maximum_size":9223372036854775808}`,
    "9223372036854775808 is greater than the maximum of 9007199254740991",
  ],
  [
    "-2^63",
    `{"primary":"${nodeA}","maximum_size":-9223372036854775808}`,
    "-9223372036854775808 is less than the minimum of -9007199254740991",
  ],
  [
    "2^63 as a value of metadata",
    `{"primary":"${nodeA}","metadata":{"k":9223372036854775808}}`,
    ofType("9223372036854775808", "'string'"),
  ],
  ["D19 address", { primary: "10.0.0.257" }, "does not match"],
  ["D19 host name", { primary: "example.com" }, "does not match"],
  ["D20 number", { primary: 10 }, ofType("10", "'string'")],
  ["D21 text", { primary: nodeA, deleted: "hello" }, ofType("u'hello'", "'boolean'")],
  [
    "D23 junk",
    { primary: nodeA, junk: 1 },
    "Additional properties are not allowed (u'junk' was unexpected)",
  ],
  ["no object", [], ofType("[]", "'object'")],
];

describe("bodies of POST configuration/datasets", () => {
  test.each(accepted)("%s is accepted", async (_, given) => {
    expect(await testApi().say("POST", all, given)).toMatchObject({ status: 201 });
  });

  test.each(refused)("%s is refused", async (_, given, expected) => {
    const said = await testApi().say("POST", all, given);
    expect(said).toMatchObject({ status: 400, body: { description: notSchema } });
    expect(JSON.stringify(said.body)).toContain(expected);
  });

  test("a wrong body is answered with the description and all errors", async () => {
    const { say } = testApi();
    expect((await say("POST", all, { primary: nodeA, junk: 1 })).body).toMatchObject({
      description: notSchema,
      errors: ["Additional properties are not allowed (u'junk' was unexpected)"],
      code: "INVALID_ARGUMENT",
    });
    const both = await say("POST", all, { junk: 1, maximum_size: "x" });
    expect(both.body).toMatchObject({ errors: { length: 3 } });
  });

  test.each([0, 1, 1024, 67108863, -5, 2 ** 50])(
    "the size %d is refused naming minimum, step and maximum",
    async (maximum_size) => {
      const said = await testApi().say("POST", all, { primary: nodeA, maximum_size });
      expect(said).toMatchObject({
        status: 400,
        body: { code: "SIZE_OUT_OF_RANGE", details: { minimum: 67108864, step: 1048576 } },
      });
    },
  );

  test("a size between steps is accepted, echoed, rounded up and said so", async () => {
    const { say } = testApi();
    const said = await say("POST", all, {
      primary: nodeA,
      dataset_id: absent,
      maximum_size: 67109887,
    });
    expect(said).toMatchObject({ status: 201, body: { maximum_size: 67109887 } });
    expect((await say("GET", `/v1/datasets/${absent}`)).body).toMatchObject({
      maximum_size: 67109887,
      size: 68157440,
      notice: expect.stringContaining("rounded up to 68157440"),
    });
  });

  test("deleted: true is refused", async () => {
    expect(await testApi().say("POST", all, { primary: nodeA, deleted: true })).toMatchObject({
      status: 400,
      body: { description: "A dataset cannot be created as deleted." },
    });
  });

  test("what is no JSON, nothing and what is nested too deep is a decoding error", async () => {
    const { say } = testApi();
    for (const text of ["", "lala", "{", '{"primary": NaN}', "[".repeat(500_000), "\ufeff{}"]) {
      expect(await say("POST", all, text)).toMatchObject({
        status: 400,
        body: { description: undecodable },
      });
    }
    expect((await say("POST", all)).body).toMatchObject({ description: undecodable });
  });

  test("bytes that are no UTF-8 are a decoding error", async () => {
    const answer = await testApi().app.inject({
      method: "POST",
      url: all,
      payload: Buffer.from([0x22, 0xff, 0x22]),
    });
    expect([answer.statusCode, answer.json()]).toMatchObject([400, { description: undecodable }]);
  });

  test.each([
    undefined,
    "text/plain",
    "application/json; charset=utf-8",
    "application/x",
    ";;;",
    "",
  ])("the content type %j is ignored", async (type) => {
    const answer = await testApi().app.inject({
      method: "POST",
      url: all,
      payload: Buffer.from(JSON.stringify({ primary: nodeA })),
      headers: type === undefined ? {} : { "content-type": type },
    });
    expect(answer.statusCode).toBe(201);
  });
});
