import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks `probe` again and again until it answers something other than false, null or undefined, and
 * returns that. After `deadlineMs` it throws, with `what` and the last error of `probe` in the
 * text.
 */
export async function until<T>(
  what: string,
  deadlineMs: number,
  probe: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const end = Date.now() + deadlineMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.5, 200)) {
    let failure: unknown = null;
    try {
      const answer = await probe();
      if (answer !== false && answer !== null && answer !== undefined) return answer;
    } catch (error) {
      failure = error;
    }
    if (Date.now() >= end) {
      throw new Error(`${what}: not within ${deadlineMs} ms`, { cause: failure ?? undefined });
    }
    await sleep(pauseMs);
  }
}
