import type { EngineSeen } from "../agent/core/effects.ts";
import type { Engine } from "../containers/engine.ts";
import type { Logger } from "../lib/log.ts";

export type WatchOptions = {
  readonly engine: Engine;
  readonly log: Logger;
  /** Called with all of it after each change, and with null when the engine went away. */
  readonly changed: (seen: EngineSeen | null) => void;
};

/** A burst of events (compose down) is one list; the engine is not asked more often. */
const listMsMin = 200;
/** The engine tells that a container ended a moment before it lists it so. */
const settledMs = 1_000;
/** An event may be lost with a restart of the engine. */
const listMsMax = 30_000;

/** Keeps the agent's picture of what the engine runs fresh until disposed. */
export function watchEngine({ engine, log, changed }: WatchOptions): AsyncDisposable {
  const abort = new AbortController();
  const { signal } = abort;
  let listing = false;
  let again = false;
  const list = async (): Promise<void> => {
    if (listing) {
      again = true;
      return;
    }
    listing = true;
    const seen = await look(engine, signal);
    if (!signal.aborted) changed(seen);
    listing = false;
    if (!again || signal.aborted) return;
    again = false;
    burst = setTimeout(() => start(), listMsMin);
  };
  let burst: NodeJS.Timeout | undefined;
  let settled: NodeJS.Timeout | undefined;
  const start = (): void => {
    list().catch((error: unknown) => {
      listing = false;
      if (!signal.aborted) log.warn("engine.unlisted", { err: String(error) });
    });
  };
  const interval = setInterval(start, listMsMax);
  const watching = engine
    .watch(
      (event) => {
        clearTimeout(settled);
        if (event.kind === "disconnected") {
          changed(null);
          return;
        }
        start();
        settled = setTimeout(start, settledMs);
      },
      { signal },
    )
    .catch((error: unknown) => {
      if (!signal.aborted) log.warn("engine.unwatched", { err: String(error) });
    });
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      abort.abort();
      clearInterval(interval);
      clearTimeout(burst);
      clearTimeout(settled);
      await watching;
    },
  };
}

/** Null when the engine cannot be asked for all of it. */
async function look(engine: Engine, signal: AbortSignal): Promise<EngineSeen | null> {
  const containers = await engine.containers({ signal });
  const volumes = await engine.localVolumes({ signal });
  if (containers.kind !== "answered" || volumes.kind !== "answered") return null;
  return {
    containers: containers.value.map(({ id, name, state, running, volumes: named, waits }) => ({
      id,
      name,
      state: running ? "running" : state === "created" ? "created" : "ended",
      volumes: named,
      waits,
    })),
    localVolumes: volumes.value,
  };
}
