import type { OpId } from "./ids.ts";
import type { Identity } from "./volume.ts";

/** A step of a move's stream: the bulk while the source may be in use, the rest after the seal. */
export type StreamStage = "base" | "delta";

/** What stands in a local pool for one dataset at this instant; a pool may have several. */
export type LocalCopy =
  /** Writable: what containers write to. At most one. */
  | { readonly kind: "live"; readonly identity: Identity }
  /** Was live; read-only since the source of a move gave its generation away. */
  | { readonly kind: "sealed"; readonly identity: Identity; readonly move: OpId }
  /** A whole read-only copy that a move brought here: never mounted, only promoted. */
  | { readonly kind: "received"; readonly identity: Identity; readonly move: OpId }
  /** The bulk of a move that came through whole; its delta is missing. Never mounted. */
  | { readonly kind: "base"; readonly move: OpId }
  /** The remainder of a receive that did not end. Never mounted. */
  | { readonly kind: "partial"; readonly move: OpId }
  /** Was live until another copy was made live without it; only a person takes it away. */
  | { readonly kind: "diverged"; readonly identity: Identity }
  /** In the place of the live volume, but not its data. */
  | { readonly kind: "foreign"; readonly detail: string };

/** Bytes of a pool and of what is reserved in it for moves that are under way. */
export type PoolUsage = {
  readonly sizeBytes: number;
  readonly freeBytes: number;
};
