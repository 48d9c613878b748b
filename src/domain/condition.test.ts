import { expect, test } from "vitest";
import { errorCodes } from "../lib/errors.ts";
import { condition, conditionCodes, conditionOfError } from "./condition.ts";

test("each failed call shows as a condition; what nobody knows is the storage's silence", () => {
  for (const code of [null, ...Object.keys(errorCodes)]) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys of that very table
    expect(conditionCodes).toHaveProperty(conditionOfError(code as keyof typeof errorCodes | null));
  }
  expect(conditionOfError(null)).toBe("BACKEND_UNAVAILABLE");
  expect(conditionOfError("VOLUME_NOT_FOUND")).toBe("VOLUME_MISSING");
});

test("a new condition was not tried yet", () => {
  expect(condition("HELD", "x")).toEqual({
    code: "HELD",
    message: "x",
    attempt: 0,
    nextRetryMs: null,
  });
});
