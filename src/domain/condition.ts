import type { ErrorCode } from "../lib/errors.ts";

/**
 * Why a dataset (or a node) is not where it should be. `pending` goes away by itself or when what
 * is waited for happens; `error` needs a person; `warning` holds nothing up. A test keeps
 * `docs/reference/conditions.md` equal.
 */
export const conditionCodes = {
  WAITING_FOR_NODE: "pending",
  WAITING_FOR_RELEASE: "pending",
  WAITING_FOR_CLAIM: "pending",
  WAITING_FOR_OPERATION: "pending",
  WAITING_FOR_CLEANUP: "pending",
  WORKING: "pending",
  BUSY_CHILD: "pending",
  HELD: "pending",
  PING_PONG: "pending",
  RECOVERING: "pending",
  BACKEND_UNAVAILABLE: "pending",
  ATTACHED_ELSEWHERE: "pending",
  UNKNOWN_OBSERVATION: "pending",
  BACKEND_REJECTED: "error",
  POOL_MISSING: "error",
  POOL_FULL: "error",
  VOLUME_MISSING: "error",
  VOLUME_NOT_BLANK: "error",
  VOLUME_LOST_CONTENT: "error",
  IDENTITY_MISMATCH: "error",
  STALE_CLAIM: "error",
  DUPLICATE_VOLUME: "error",
  RECORD_LOST: "error",
  SUPERSEDED: "error",
  CLAIM_CONFLICT: "error",
  OPERATION_UNDECIDED: "error",
  PROPAGATION_WRONG: "error",
  NODE_ID_CLASH: "error",
  NODE_WENT_BACK: "error",
  STORE_WENT_BACK: "error",
  TWO_CONTROL_SERVICES: "error",
  SHADOWED_BY_LOCAL_VOLUME: "warning",
} as const satisfies Record<string, "pending" | "error" | "warning">;

export type ConditionCode = keyof typeof conditionCodes;

export function isConditionCode(code: unknown): code is ConditionCode {
  return typeof code === "string" && Object.hasOwn(conditionCodes, code);
}

export type Condition = {
  readonly code: ConditionCode;
  /** One sentence for a person: what, which object, which node, what to do. */
  readonly message: string;
  /** Zero for a condition that is not retried. */
  readonly attempt: number;
  readonly nextRetryMs: number | null;
};

export function condition(code: ConditionCode, message: string): Condition {
  return { code, message, attempt: 0, nextRetryMs: null };
}

const byError: Readonly<Partial<Record<ErrorCode, ConditionCode>>> = {
  BACKEND_REJECTED: "BACKEND_REJECTED",
  SIZE_OUT_OF_RANGE: "BACKEND_REJECTED",
  VOLUME_BUSY: "HELD",
  VOLUME_NOT_FOUND: "VOLUME_MISSING",
  VOLUME_EXISTS: "DUPLICATE_VOLUME",
  BUSY_CHILD: "BUSY_CHILD",
  POOL_MISSING: "POOL_MISSING",
  POOL_FULL: "POOL_FULL",
};

/** The condition that a failed driver or host call shows as. */
export function conditionOfError(code: ErrorCode | null): ConditionCode {
  return (code === null ? undefined : byError[code]) ?? "BACKEND_UNAVAILABLE";
}
