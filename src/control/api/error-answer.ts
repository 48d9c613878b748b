import { errorCodes, FlockerError } from "../../lib/errors.ts";
import type { ErrorBody } from "../../protocol/api.ts";
import { BodyRefused } from "./dataset-bodies.ts";

export type ErrorAnswer = { readonly status: number; readonly body: ErrorBody };

/** One flat object for every failure; old clients read `description` alone. */
export function errorAnswer(error: unknown, requestId: string): ErrorAnswer {
  const known = error instanceof FlockerError ? error : fromFramework(error, requestId);
  const { code, message, details } = known;
  return {
    status: errorCodes[code].http,
    body: {
      description: message,
      ...(known instanceof BodyRefused ? { errors: [...known.errors] } : {}),
      code,
      ...(Object.keys(details).length === 0 ? {} : { details }),
      requestId,
    },
  };
}

/** Fastify's own refusals; anything else is a bug of ours, of which only the log says more. */
function fromFramework(error: unknown, requestId: string): FlockerError {
  const code = error instanceof Error && "code" in error ? error.code : null;
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new FlockerError("BODY_TOO_LARGE", "The request body is over 1 MiB.");
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return new FlockerError("INVALID_ARGUMENT", "The body is not as long as its header says.");
    case "FST_ERR_BAD_URL":
      return new FlockerError("INVALID_ARGUMENT", "The path of the request cannot be decoded.");
    default:
      return new FlockerError(
        "INTERNAL",
        `The control service failed in an unexpected way; its log says more about ${requestId}.`,
      );
  }
}
