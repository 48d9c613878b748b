import { expect, test } from "vitest";
import { fresh } from "../domain/record-samples.ts";
import { recordsDigest } from "./digest.ts";

const entry = { record: fresh, wantedBy: null, peer: null };

test("records of equal revision that say different things have different digests", () => {
  const other = { ...entry, record: { ...fresh, generation: fresh.generation + 1 } };
  expect(recordsDigest([other])).not.toBe(recordsDigest([entry]));
});

test("the order of a record's keys is not in its digest", () => {
  const { lost, ...rest } = fresh;
  const turned = { lost, ...rest };
  expect(JSON.stringify(turned)).not.toBe(JSON.stringify(fresh));
  expect(recordsDigest([{ ...entry, record: turned }])).toBe(recordsDigest([entry]));
});
