/**
 * The cases of Flocker 1.15's own tests for the bodies of datasets (D1 to D23), as they are sent.
 * Where this Flocker differs, docs/reference/compatibility.md has a line.
 */

/** Two nodes of the cluster, and an id that nobody has. */
export type Ids = { readonly one: string; readonly two: string; readonly free: string };

export type BodyCase = {
  readonly name: string;
  readonly body: (ids: Ids) => string;
};
/** With what is in the answer, beside id, primary, `metadata: {}` and `deleted: false`. */
export type Accepted = BodyCase & { readonly echoed: (ids: Ids) => object };
/** With what is in the answer: all of `errors`, or the description of what is no matter of a schema. */
export type Refused = BodyCase & { readonly answer: object };

export const notSchema = "The provided JSON doesn't match the required schema.";
export const undecodable =
  "The request body could not be decoded according to the value of the\nContent-Type header.";

const with_ = (fields: (ids: Ids) => object): BodyCase["body"] => {
  return (ids) => JSON.stringify({ primary: ids.one, ...fields(ids) });
};
/** The text itself, for what JSON.stringify cannot write. */
const text = (fields: string): BodyCase["body"] => {
  return ({ one }) => `{"primary": "${one}", ${fields}}`;
};

const long = "x".repeat(256);
const entries = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, long]));

export const accepted: readonly Accepted[] = [
  { name: "D1 primary alone", body: with_(() => ({})), echoed: () => ({}) },
  {
    name: "D3 16 entries of metadata, 256 characters each",
    body: with_(() => ({ metadata: entries(16) })),
    echoed: () => ({ metadata: entries(16) }),
  },
  {
    name: "D9 an id, in upper case: it is answered in lower case",
    body: with_(({ free }) => ({ dataset_id: free.toUpperCase() })),
    echoed: ({ free }) => ({ dataset_id: free }),
  },
  {
    name: "D13 64 MiB",
    body: with_(() => ({ maximum_size: 67108864 })),
    echoed: () => ({ maximum_size: 67108864 }),
  },
  { name: "D14 no size", body: with_(() => ({ maximum_size: null })), echoed: () => ({}) },
  {
    name: "D16 a size that is no multiple of 1024: rounded up, echoed as given",
    body: with_(() => ({ maximum_size: 67109887 })),
    echoed: () => ({ maximum_size: 67109887 }),
  },
  { name: "D22 deleted: false", body: with_(() => ({ deleted: false })), echoed: () => ({}) },
  {
    name: "a key twice: the last one wins",
    body: text('"maximum_size": 1, "maximum_size": 134217728'),
    echoed: () => ({ maximum_size: 134217728 }),
  },
];

const uuidPattern =
  "^[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-4[A-Fa-f0-9]{3}-[89abAB][A-Fa-f0-9]{3}-[A-Fa-f0-9]{12}$";
const keyPattern = "^.{1,256}$";
const noUuid = (value: string): string => `u'${value}' does not match '${uuidPattern}'`;
const short = (value: string): readonly string[] => [`u'${value}' is too short`, noUuid(value)];
const wrong = (...errors: readonly string[]): object => ({ description: notSchema, errors });
const cut = "75a15c23-8dd6-4f29-8164-6d60928bf3c";
const third = "75a15c23-8dd6-3f29-8164-6d60928bf3cc";

export const refused: readonly Refused[] = [
  { name: "D2 nothing", body: () => "{}", answer: wrong("'primary' is a required property") },
  {
    name: "D2 no primary",
    body: () => '{"metadata": {}}',
    answer: wrong("'primary' is a required property"),
  },
  {
    name: "D5 a key of 257 characters",
    body: with_(() => ({ metadata: { [`${long}x`]: "" } })),
    answer: wrong(`u'${long}x' does not match any of the regexes: '${keyPattern}'`),
  },
  {
    name: "D5 a key with a newline",
    body: with_(() => ({ metadata: { "a\nb": "" } })),
    answer: wrong(`u'a\\nb' does not match any of the regexes: '${keyPattern}'`),
  },
  {
    name: "D6 a value of 257 characters",
    body: with_(() => ({ metadata: { foo: `${long}x` } })),
    answer: wrong(`u'${long}x' is too long`),
  },
  {
    name: "D7 a number as a value of metadata",
    body: with_(() => ({ metadata: { foo: 10 } })),
    answer: wrong("10 is not of type 'string'"),
  },
  {
    name: "D8 a number as metadata",
    body: with_(() => ({ metadata: 10 })),
    answer: wrong("10 is not of type 'object'"),
  },
  {
    name: "D10 an id of 35 characters",
    body: with_(() => ({ dataset_id: cut })),
    answer: wrong(...short(cut)),
  },
  {
    name: "D10 an id of 37 characters",
    body: with_(() => ({ dataset_id: `${cut}cc` })),
    answer: wrong(`u'${cut}cc' is too long`, noUuid(`${cut}cc`)),
  },
  {
    name: "D11 an id of version 3",
    body: with_(() => ({ dataset_id: third })),
    answer: wrong(noUuid(third)),
  },
  {
    name: "D12 a number as id",
    body: with_(() => ({ dataset_id: 10 })),
    answer: wrong("10 is not of type 'string'"),
  },
  {
    name: "D15 a size of 1024",
    body: with_(() => ({ maximum_size: 1024 })),
    answer: {
      code: "SIZE_OUT_OF_RANGE",
      details: { minimum: 67108864, step: 1024, requested: 1024 },
    },
  },
  {
    name: "D17 a text as size",
    body: with_(() => ({ maximum_size: "123" })),
    answer: wrong("u'123' is not of type 'integer', 'null'"),
  },
  {
    name: "D18 a float as size",
    body: text('"maximum_size": 67108864.0'),
    answer: wrong("67108864.0 is not of type 'integer', 'null'"),
  },
  {
    name: "a bool as size",
    body: with_(() => ({ maximum_size: true })),
    answer: wrong("True is not of type 'integer', 'null'"),
  },
  {
    name: "2^63 as size",
    body: text('"maximum_size": 9223372036854775808'),
    answer: wrong("9223372036854775808 is greater than the maximum of 9007199254740991"),
  },
  {
    name: "D19 an address as primary",
    body: () => '{"primary": "10.0.0.257"}',
    answer: wrong(...short("10.0.0.257")),
  },
  {
    name: "D19 a host name as primary",
    body: () => '{"primary": "example.com"}',
    answer: wrong(...short("example.com")),
  },
  {
    name: "D20 a number as primary",
    body: () => '{"primary": 10}',
    answer: wrong("10 is not of type 'string'"),
  },
  {
    name: "D21 a text as deleted",
    body: with_(() => ({ deleted: "hello" })),
    answer: wrong("u'hello' is not of type 'boolean'"),
  },
  {
    name: "D22 deleted: true",
    body: with_(() => ({ deleted: true })),
    answer: { description: "A dataset cannot be created as deleted." },
  },
  {
    name: "D23 an unknown key",
    body: with_(() => ({ junk: 1 })),
    answer: wrong("Additional properties are not allowed (u'junk' was unexpected)"),
  },
  {
    name: "two unknown keys and no primary: all errors at once",
    body: () => '{"junk": 1, "more": 2}',
    answer: wrong(
      "Additional properties are not allowed (u'junk', u'more' were unexpected)",
      "'primary' is a required property",
    ),
  },
  { name: "a list", body: () => "[]", answer: wrong("[] is not of type 'object'") },
  { name: "null", body: () => "null", answer: wrong("None is not of type 'object'") },
  {
    name: "a primary that never joined",
    body: ({ free }) => JSON.stringify({ primary: free }),
    answer: { description: "The provided primary node is not part of the cluster." },
  },
];

/** D4, whose texts show the whole object: only their ends are compared. */
export const tooMany = [17, 257].map((count) => ({
  name: `D4 ${count} entries of metadata`,
  body: with_(() => ({ metadata: entries(count) })),
}));

/** R25: none of them is JSON. */
export const noJson: readonly string[] = [
  "",
  "lalala",
  "{",
  '{"primary": NaN}',
  '{"primary": "x"} y',
];
