import type { ConditionCode } from "../../domain/condition.ts";
import type { DatasetId, NodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { ErrorCode } from "../../lib/errors.ts";
import type { Action } from "../../planner/action.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import type { DesiredLocal } from "../../planner/local-desired.ts";
import type { ObservedAttachable, ObservedLocal } from "../../planner/observed.ts";
import type {
  AgentMessage,
  ControlMessage,
  HeldCopy,
  NameEntry,
  PeerAddress,
  Progress,
  RecordEntry,
  StorePoint,
} from "../../protocol/agent-messages.ts";
import type { PluginAnswer, PluginCall } from "./plugin-call.ts";

/** Durable on the node's disk: survives a reboot. */
export type ClusterFile = {
  readonly seen: StorePoint | null;
  readonly names: readonly NameEntry[];
  readonly nodes: readonly NodeId[];
  /** Highest generation that this node was ever granted, by dataset. */
  readonly generations: readonly (readonly [DatasetId, number])[];
  readonly records: readonly DatasetRecord[];
};

export type User = {
  readonly id: string;
  readonly callId: number | null;
  readonly sinceMs: number;
  /** Instant of the first look that found no sign of it; a second one, late enough, ends it. */
  readonly missedAtMs: number | null;
};

/** Kept in /run: survives the agent, not a reboot. */
export type RunFile = {
  readonly records: readonly RecordEntry[];
  readonly users: readonly (readonly [DatasetId, readonly string[]])[];
  /** Generations that were given back: never used again, whatever a record says. */
  readonly ended: readonly (readonly [DatasetId, number])[];
};

export type ContainerSeen = {
  readonly id: string;
  readonly name: string;
  /** `created`: it never ran, and may be about to; `running`: it has processes, or will again. */
  readonly state: "created" | "running" | "ended";
  readonly volumes: readonly string[];
  /** It should run, and its last start failed because a volume of ours was not mounted. */
  readonly waits: boolean;
};

export type EngineSeen = {
  readonly containers: readonly ContainerSeen[];
  /** Names of the engine's own volumes, without invented ones. */
  readonly localVolumes: readonly string[];
};

export type StartOutcome = {
  readonly kind: "started" | "not_waiting" | "failed";
  /** Why it failed; null otherwise. */
  readonly reason: string | null;
};

/** What a local pool has of a dataset besides the one copy that a decision is made on. */
export type Found = {
  readonly copies: readonly HeldCopy[];
  /** Of the live copy; null when it is not known. */
  readonly usedBytes: number | null;
};

export type Outcome =
  | { readonly kind: "ok" }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode | null;
      /** What people see of it. */
      readonly condition: ConditionCode;
      readonly message: string;
      /** The storage may still carry the request out (no definitive answer). */
      readonly indefinite: boolean;
    };

export type AgentEvent =
  | { readonly kind: "connected" }
  | { readonly kind: "disconnected" }
  | { readonly kind: "received"; readonly message: ControlMessage }
  | {
      readonly kind: "observed";
      readonly datasetId: DatasetId;
      readonly observed: ObservedAttachable;
    }
  | {
      readonly kind: "observed_local";
      readonly datasetId: DatasetId;
      readonly observed: ObservedLocal;
      /** Null when the pool could not tell. */
      readonly found: Found | null;
    }
  | { readonly kind: "executed"; readonly action: Action | LocalAction; readonly outcome: Outcome }
  /** Something of it is not as it was at the last look. */
  | { readonly kind: "disturbed"; readonly datasetId: DatasetId }
  /** Of the receive that is being executed. */
  | { readonly kind: "progressed"; readonly datasetId: DatasetId; readonly progress: Progress }
  | { readonly kind: "called"; readonly callId: number; readonly call: PluginCall }
  /** The engine closed the socket before the answer was written. */
  | { readonly kind: "abandoned"; readonly callId: number }
  | { readonly kind: "persisted"; readonly token: number }
  /** What the engine has; null when it cannot be asked. */
  | { readonly kind: "engine"; readonly seen: EngineSeen | null }
  /** The engine's answer to `start_container`. */
  | {
      readonly kind: "start_ended";
      readonly containerId: string;
      readonly outcome: StartOutcome;
    }
  | { readonly kind: "tick" };

export type AgentEffect =
  | { readonly kind: "send"; readonly message: AgentMessage }
  | { readonly kind: "disconnect"; readonly reason: string }
  | {
      readonly kind: "observe";
      readonly datasetId: DatasetId;
      readonly record: DatasetRecord | null;
    }
  | {
      readonly kind: "observe_local";
      readonly datasetId: DatasetId;
      readonly record: DatasetRecord;
      readonly want: DesiredLocal;
    }
  /** `actionId` names the step in every log line from here to the driver. */
  | { readonly kind: "execute"; readonly action: Action; readonly actionId: string }
  | {
      readonly kind: "execute_local";
      readonly action: LocalAction;
      readonly actionId: string;
      /** Where the source of a move serves its stream; null for every other action. */
      readonly peer: PeerAddress | null;
    }
  /** Whatever is in flight for it may hang: its access is cut at once, and again in its turn. */
  | { readonly kind: "cut"; readonly datasetId: DatasetId }
  /** What is being executed for it has lost its reason: it is to end at once, as failed. */
  | { readonly kind: "abort"; readonly datasetId: DatasetId; readonly reason: string }
  /** Answered by `start_ended`. */
  | { readonly kind: "start_container"; readonly containerId: string }
  | { readonly kind: "answer"; readonly callId: number; readonly answer: PluginAnswer }
  | { readonly kind: "persist_cluster"; readonly file: ClusterFile; readonly token: number }
  | { readonly kind: "persist_run"; readonly file: RunFile; readonly token: number }
  | {
      readonly kind: "log";
      readonly level: "warn" | "info" | "debug";
      readonly event: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };
