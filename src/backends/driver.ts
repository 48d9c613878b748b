import type { TObject } from "typebox";
import type { AttachableBackend, BackendContext } from "./attachable.ts";
import type { LocalBackend } from "./local.ts";

/**
 * What a driver's module exports as `driver`, built in or not. A third party's module is named in
 * agent.yml by what `import()` takes: a package or an absolute path.
 */
export type Driver = {
  readonly name: string;
  /** Its own keys in agent.yml; checked before `open` is called. */
  readonly options: TObject;
  /**
   * Connects to the storage; `capabilities.kind` of what it returns says which port it is. Wrong
   * options that the schema cannot tell are `CONFIGURATION_INVALID`; a storage that does not answer
   * is `BACKEND_UNAVAILABLE`.
   */
  readonly open: (
    options: Readonly<Record<string, unknown>>,
    context: BackendContext,
  ) => Promise<AttachableBackend | LocalBackend>;
};

/** Which of the two ports a driver opened. */
export function isLocal(backend: AttachableBackend | LocalBackend): backend is LocalBackend {
  return backend.capabilities.kind === "local";
}

/** An open backend by the port that it implements. */
export type OpenedBackend =
  | { readonly kind: "attachable"; readonly backend: AttachableBackend }
  | { readonly kind: "local"; readonly backend: LocalBackend };
