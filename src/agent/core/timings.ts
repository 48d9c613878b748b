/** Spans that the agent's decisions rest on, in ms; the simulator varies them. */
export type Timings = {
  /** After the last Unmount the holder keeps the claim, against wishes and orders alike. */
  readonly lingerMs: number;
  /** An answered Mount is a user for at least this long, whatever is seen. */
  readonly userHoldMs: number;
  /** Two looks without a sign of a user, this far apart, end it. */
  readonly userMissMs: number;
  /** A container that was created keeps the users of its volumes for so long, should it start. */
  readonly userStartMs: number;
  /** These two are below the engine's own deadlines, 120 s for a Mount and 60 s for the rest. */
  readonly mountMs: number;
  readonly requestMs: number;
  readonly lookupMs: number;
  /** A report that the record does not show yet is said again. */
  readonly resendMs: number;
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  /** A dataset that is as it should be is looked at again. */
  readonly idleMs: number;
  /** Whom others wait for is looked for this often: what people read of it stays true. */
  readonly heldMs: number;
  readonly wishAgeMs: number;
  /** Between two words about a stream that comes in. */
  readonly progressMs: number;
  /** Between two tries to start a container that waited, doubled each time. */
  readonly startRetryMs: number;
  /** What waits for longer is left to a person. */
  readonly startAgeMs: number;
};

export const timings: Timings = {
  lingerMs: 10_000,
  userHoldMs: 120_000,
  userMissMs: 60_000,
  userStartMs: 600_000,
  mountMs: 110_000,
  requestMs: 50_000,
  lookupMs: 2_000,
  resendMs: 2_000,
  retryMsMin: 500,
  retryMsMax: 15_000,
  idleMs: 30_000,
  heldMs: 1_500,
  wishAgeMs: 30_000,
  progressMs: 1_000,
  startRetryMs: 10_000,
  startAgeMs: 86_400_000,
};
