import { type ErrorCode, isErrorCode, messageOf } from "../lib/errors.ts";
import type { Outcome } from "./core/effects.ts";

/** Without a definitive answer the request may still land; a refusal of ours never does. */
export function failureOf(error: unknown): Extract<Outcome, { readonly kind: "failed" }> {
  const code = codeOf(error);
  return {
    kind: "failed",
    code,
    message: messageOf(error),
    indefinite:
      code === null ||
      code === "DEADLINE_EXCEEDED" ||
      code === "BACKEND_UNAVAILABLE" ||
      code === "COMMAND_FAILED",
  };
}

function codeOf(error: unknown): ErrorCode | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return isErrorCode(error.code) ? error.code : null;
}
