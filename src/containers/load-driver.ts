import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../lib/log.ts";
import type { Engine } from "./engine.ts";

const retryMsMin = 250;
const retryMsMax = 10_000;

/**
 * Makes the engine load the volume plugin `driver` as soon as it is up, and resolves when it has:
 * an engine finds a plugin by itself only when somebody asks for it, and Swarm schedules on a node
 * only after that. Gives up only when the signal aborts, and resolves then too.
 */
export async function loadDriver(
  engine: Engine,
  driver: string,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  for (let retryMs = retryMsMin; !signal.aborted; retryMs = Math.min(retryMs * 2, retryMsMax)) {
    const answer = await engine.loadDrivers({ signal }).catch(() => null);
    if (answer === null) continue; // Aborted.
    if (answer.kind === "answered" && answer.value.includes(driver)) {
      log.info("plugin.loaded", { driver });
      return;
    }
    const reason = answer.kind === "unavailable" ? answer.reason : "it did not find the plugin";
    log.debug("plugin.missed", { driver, reason, retryMs });
    await sleep(retryMs, undefined, { signal }).catch(() => {});
  }
}
