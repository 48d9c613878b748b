import { expect, test } from "vitest";
import { stalePages } from "../../tools/gen-docs.ts";

test("the reference pages that are made from the code say what the code says", () => {
  expect(stalePages(), "run: node tools/gen-docs.ts").toEqual([]);
});
