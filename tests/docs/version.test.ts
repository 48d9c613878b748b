import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { version } from "../../src/lib/version.ts";

test("the version in the code is the version of the package", () => {
  expect(JSON.parse(readFileSync("package.json", "utf8"))).toMatchObject({ version });
});
