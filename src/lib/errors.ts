/** Every failure an operator or client can meet. A test keeps `docs/reference/errors.md` equal. */
export const errorCodes = {
  INVALID_ARGUMENT: { http: 400, retry: "never" },
  SIZE_OUT_OF_RANGE: { http: 400, retry: "never" },
  POOL_UNKNOWN: { http: 400, retry: "after_change" },
  NODE_UNKNOWN: { http: 400, retry: "after_change" },
  NOT_AUTHORIZED: { http: 403, retry: "after_change" },
  DATASET_NOT_FOUND: { http: 404, retry: "never" },
  COPY_NOT_FOUND: { http: 404, retry: "never" },
  NODE_NOT_FOUND: { http: 404, retry: "never" },
  NOT_FOUND: { http: 404, retry: "never" },
  DATASET_DELETED: { http: 405, retry: "never" },
  METHOD_NOT_ALLOWED: { http: 405, retry: "never" },
  DATASET_ID_IN_USE: { http: 409, retry: "never" },
  NAME_IN_USE: { http: 409, retry: "never" },
  OPTIONS_DIFFER: { http: 409, retry: "never" },
  NOT_IN_TRASH: { http: 409, retry: "never" },
  DATASET_IN_USE: { http: 409, retry: "later" },
  NODE_ALIVE: { http: 409, retry: "after_change" },
  NODE_NOT_CLASHING: { http: 409, retry: "never" },
  REVISION_CONFLICT: { http: 409, retry: "later" },
  VOLUME_BUSY: { http: 409, retry: "later" },
  VOLUME_NOT_FOUND: { http: 404, retry: "after_change" },
  VOLUME_EXISTS: { http: 409, retry: "never" },
  BODY_TOO_LARGE: { http: 413, retry: "never" },
  TOO_MANY_REQUESTS: { http: 429, retry: "later" },
  COMMAND_FAILED: { http: 500, retry: "later" },
  INTERNAL: { http: 500, retry: "never" },
  POOL_MISSING: { http: 500, retry: "after_change" },
  BACKEND_REJECTED: { http: 502, retry: "after_change" },
  BACKEND_UNAVAILABLE: { http: 503, retry: "later" },
  CONTROL_UNAVAILABLE: { http: 503, retry: "later" },
  READ_ONLY: { http: 503, retry: "after_change" },
  DEADLINE_EXCEEDED: { http: 504, retry: "later" },
  POOL_FULL: { http: 507, retry: "after_change" },
  STORE_FULL: { http: 507, retry: "after_change" },
  STORE_FAILED: { http: 500, retry: "after_change" },
  STORE_SCHEMA_NEWER: { http: 500, retry: "after_change" },
  STORE_COPIED: { http: 500, retry: "after_change" },
  CONFIGURATION_INVALID: { http: 500, retry: "after_change" },
  PORT_IN_USE: { http: 500, retry: "after_change" },
  NOT_ROOT: { http: 500, retry: "after_change" },
  TOOL_MISSING: { http: 500, retry: "after_change" },
  CERTIFICATE_INVALID: { http: 500, retry: "after_change" },
  PROTOCOL_ERROR: { http: 400, retry: "never" },
  BUSY_CHILD: { http: 409, retry: "later" },
} as const satisfies Record<string, { http: number; retry: "never" | "later" | "after_change" }>;

export type ErrorCode = keyof typeof errorCodes;

/** An operating error: expected, named, handled. Broken invariants use `assert` instead. */
export class FlockerError extends Error {
  override readonly name = "FlockerError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions & { details?: object } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = { ...options.details };
  }

  get retry(): "never" | "later" | "after_change" {
    return errorCodes[this.code].retry;
  }
}

/** By code, not `instanceof`: a third-party driver may carry its own copy of this module. */
export function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorCodes, code);
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
