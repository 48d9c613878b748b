import type { CreateOptions } from "../../protocol/agent-messages.ts";

/** A call of the engine, parsed (volume plugin API; an empty body is refused before this). */
export type PluginCall =
  | { readonly kind: "create"; readonly name: string; readonly options: CreateOptions }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "mount"; readonly name: string; readonly id: string }
  | { readonly kind: "unmount"; readonly name: string; readonly id: string }
  | { readonly kind: "path"; readonly name: string }
  | { readonly kind: "get"; readonly name: string }
  | { readonly kind: "list" };

export type VolumeStatus = Readonly<Record<string, string | number | boolean | null>>;

export type PluginVolume = {
  readonly name: string;
  /** Empty when it is not shown on this node. */
  readonly mountpoint: string;
  /** Wall clock, ms; null where only its name is known. */
  readonly createdAtMs: number | null;
  readonly status: VolumeStatus;
};

export type PluginAnswer =
  | { readonly kind: "ok" }
  | { readonly kind: "mountpoint"; readonly mountpoint: string }
  | { readonly kind: "volume"; readonly volume: PluginVolume }
  | { readonly kind: "volumes"; readonly volumes: readonly PluginVolume[] }
  /** Becomes `{"Err": message}` with status 200. */
  | { readonly kind: "error"; readonly message: string };

/** Texts that clients of Flocker 1.15 know. */
export const pluginErrors = {
  notFound: "Could not find volume with given name.",
  notAvailable: "Volume not available.",
} as const;

/** Who answers the engine: the agent's core behind its shell; an in-memory one in tests. */
export interface VolumePlugin {
  /**
   * Answers one call. What is thrown becomes an error of the call. `signal` aborts when the answer
   * can no longer reach the engine: it closed the connection, or the server is being stopped. That
   * may be after this has resolved, as long as the answer was not written to the end: a Mount
   * answered in vain is to be undone as one that was given up on.
   */
  call(call: PluginCall, signal: AbortSignal): Promise<PluginAnswer>;
}
