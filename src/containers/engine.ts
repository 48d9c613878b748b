import type { Logger } from "../lib/log.ts";

/** What accompanies a question to the engine. */
export type EngineCall = { readonly signal: AbortSignal };

/** A container of the engine, running or not, as far as volumes are concerned. */
export type EngineContainer = {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** The engine's word for it: created, running, paused, restarting, removing, exited, dead. */
  readonly state: string;
  /** It has processes, or is about to have them again. */
  readonly running: boolean;
  /** Names of the volumes of our driver that it mounts, whether they are mounted now or not. */
  readonly volumes: readonly string[];
  /**
   * It does not run because a volume of our driver could not be mounted when it was last started,
   * and its restart policy (always, unless-stopped) says that it should. The engine itself does not
   * try again.
   */
  readonly waits: boolean;
  /** Directories of this machine that it binds and that are the shown root or below it. */
  readonly paths: readonly string[];
};

export type EngineAnswer<T> =
  | { readonly kind: "answered"; readonly value: T }
  /** There is no engine, or it does not answer; the reason is a clause for people. */
  | { readonly kind: "unavailable"; readonly reason: string };

export type StartOutcome =
  | { readonly kind: "started" }
  /** It runs, is gone, or should not run any more: somebody was faster. */
  | { readonly kind: "not_waiting" }
  | { readonly kind: "failed"; readonly reason: string };

export type ContainerAction = "create" | "start" | "die" | "destroy";

export type EngineEvent =
  /** A volume of any driver was made or removed. */
  | { readonly kind: "volume" }
  /** Anything may have happened before this: list anew. What happens from now on is told. */
  | { readonly kind: "connected" }
  /** Said once for each outage. */
  | { readonly kind: "disconnected"; readonly reason: string }
  /** May be told twice. */
  | {
      readonly kind: "container";
      readonly action: ContainerAction;
      readonly id: string;
      readonly name: string;
    };

/** Which of a container's mounts are ours. */
export type OurMounts = {
  /** Name of our volume driver: that of the plugin's socket. */
  readonly driver: string;
  /** What containers see of datasets is below this directory. */
  readonly shownRoot: string;
};

/**
 * The container engine of this machine. No call waits longer than a few seconds for it and none
 * fails because of it: an engine that is away is an answer. Only an aborted signal rejects.
 */
export interface Engine {
  /** All containers, running or not. */
  containers(call: EngineCall): Promise<EngineAnswer<readonly EngineContainer[]>>;
  /**
   * The one container whose id begins with `prefix` (12 or more hexadecimal digits); null when
   * there is none, or more than one.
   */
  container(prefix: string, call: EngineCall): Promise<EngineAnswer<EngineContainer | null>>;
  /**
   * Names of the engine's own volumes (driver `local`), without those that it invented: sorted, 64
   * hexadecimal digits left out.
   */
  localVolumes(call: EngineCall): Promise<EngineAnswer<readonly string[]>>;
  /**
   * Starts a container that `waits`, and no other. This may take as long as its volumes' drivers
   * let it.
   */
  startWaiting(id: string, call: EngineCall): Promise<EngineAnswer<StartOutcome>>;
  /**
   * Makes the engine look for volume plugins and load them, as `docker volume ls` does, and answers
   * which drivers it has then. This may take as long as the slowest plugin.
   */
  loadDrivers(call: EngineCall): Promise<EngineAnswer<readonly string[]>>;
  /** The engine's process, to look at mounts as it sees them; null when it is not known. */
  pid(): Promise<number | null>;
  /**
   * Tells `listener` what happens until the signal aborts, and resolves then. Connects again by
   * itself for ever.
   */
  watch(listener: (event: EngineEvent) => void, call: EngineCall): Promise<void>;
}

export type EngineOptions = OurMounts & {
  readonly socketPath: string;
  readonly log: Logger;
  /** A watch that hears nothing for so long asks whether the engine still answers. */
  readonly silenceMsMax?: number;
};

/** Whether a container in this state uses what it mounts; a state of a newer engine counts. */
export function isRunning(state: string): boolean {
  return !["created", "exited", "dead", "removing"].includes(state);
}

/** Whether `path` is the shown root or lies below it. */
export function isShownPath(path: string, { shownRoot }: OurMounts): boolean {
  return path === shownRoot || path.startsWith(`${shownRoot}/`);
}

/** Whether a restart policy says that a container which was not stopped by a person should run. */
export function shouldRun(restartPolicy: string): boolean {
  return restartPolicy === "always" || restartPolicy === "unless-stopped";
}

export const containerPrefix = /^[0-9a-f]{12,64}$/;
