import type { Condition } from "../domain/condition.ts";
import type { BootId, ClusterId, DatasetId, NodeId, OpId } from "../domain/ids.ts";
import type { LocalCopy, StreamStage } from "../domain/local-copy.ts";
import type { Pool } from "../domain/pool.ts";
import type { DatasetRecord } from "../domain/record.ts";
import type { Holder } from "../domain/volume.ts";
import type { Report } from "../domain/report.ts";

/** Raised when a message changes its meaning; a hello of another number is refused. */
export const protocolVersion = 1;

/** A point in the history of a store; "seen" by an agent once it is durable on its disk. */
export type StorePoint = {
  readonly storeId: string;
  readonly term: number;
  readonly instance: string;
  readonly revision: number;
};

/** Where an agent listens for the streams of moves. */
export type PeerAddress = { readonly host: string; readonly port: number };

export type NameEntry = { readonly name: string; readonly datasetId: DatasetId };

/** What a node holds, whatever the store believes: collected by `flocker control recover`. */
export type Holding = {
  readonly datasetId: DatasetId;
  readonly name: string | null;
  /** Highest generation that this node was ever granted. */
  readonly generation: number;
  /** Mounted or shown right now in this era. */
  readonly mounted: boolean;
  /** Generation of a claim that this node uses, or is about to, without asking again. */
  readonly claim: number | null;
  /** The last whole record that this node was sent. */
  readonly record: DatasetRecord | null;
  /** What a local pool here has of it, at the last look: recovery lets a promoted copy win. */
  readonly copies: readonly HeldCopy[];
};

export type HeldCopy = {
  readonly kind: LocalCopy["kind"];
  readonly pool: string;
  /** Null for what bears no identity: partial, base, foreign. */
  readonly generation: number | null;
  readonly move: OpId | null;
};

/** A pool that a node should have and could not open; why, for people. */
export type PoolAway = { readonly name: string; readonly message: string };

export type Hello = {
  readonly kind: "hello";
  readonly protocol: number;
  readonly version: string;
  readonly node: NodeId;
  readonly clusterId: ClusterId;
  /** Machine identity; another one for the same node is `NODE_ID_CLASH`. */
  readonly fingerprint: string;
  readonly bootId: BootId;
  /** Random, kept in /run: another one with the same boot id ends nothing. */
  readonly runId: string;
  /** Random for each agent process. */
  readonly instance: string;
  readonly address: { readonly host: string; readonly peerPort: number };
  readonly pools: readonly Pool[];
  readonly poolsAway: readonly PoolAway[];
  readonly seen: StorePoint | null;
  /** Digest of the records and of the names that this process has (see digest.ts). */
  readonly recordsDigest: string;
  readonly namesDigest: string;
  readonly holdings: readonly Holding[];
  /** Every node id that this agent was ever told of: recovery waits for all of them. */
  readonly nodes: readonly NodeId[];
  /** Ops that a child process of this node may still carry out. */
  readonly heldOps: readonly OpId[];
};

/** What one node sees of one dataset, for people and for the old state resources. */
export type Observation = {
  readonly datasetId: DatasetId;
  readonly state: string;
  readonly shown: boolean;
  readonly path: string | null;
  readonly condition: Condition | null;
  readonly users: readonly { readonly id: string; readonly container: string | null }[];
  readonly holders: readonly Holder[];
  /** Bytes that its data takes here; null when not known. */
  readonly usedBytes: number | null;
  /** Of the stream that comes in here right now. */
  readonly progress: Progress | null;
  /** What a local pool here has of it besides what is used: for `copies ls`. */
  readonly copies: readonly HeldCopy[];
};

export type Progress = {
  readonly stage: StreamStage;
  readonly bytes: number;
  /** As its sender estimates it; null when it cannot. */
  readonly totalBytes: number | null;
  readonly bytesPerSecond: number;
};

export type CreateOptions = {
  readonly sizeBytes: number | null;
  readonly pool: string | null;
  readonly fileSystem: "ext4" | "xfs" | null;
  readonly reclaim: "trash" | "delete" | "retain" | null;
  readonly profile: string | null;
};

export type Request =
  | { readonly kind: "create"; readonly name: string; readonly options: CreateOptions }
  /** Said again after a new session: it names the dataset, as the name may be another's by then. */
  | { readonly kind: "remove"; readonly name: string; readonly datasetId: DatasetId | null }
  | { readonly kind: "lookup"; readonly name: string };

export type AgentMessage =
  | Hello
  /** Everything up to `revision` is durable here. */
  | { readonly kind: "ack"; readonly revision: number }
  | { readonly kind: "observed"; readonly observations: readonly Observation[] }
  /** A plugin Mount without a claim. `remainingMs` to its deadline, `ageMs` since its first try. */
  | {
      readonly kind: "wish";
      readonly datasetId: DatasetId;
      readonly remainingMs: number;
      readonly ageMs: number;
    }
  | { readonly kind: "wish_ended"; readonly datasetId: DatasetId }
  | { readonly kind: "taken"; readonly datasetId: DatasetId; readonly generation: number }
  | { readonly kind: "declined"; readonly datasetId: DatasetId; readonly generation: number }
  /** Given back: the storage shows it attached to `node`, which has no claim. */
  | {
      readonly kind: "attached_elsewhere";
      readonly datasetId: DatasetId;
      readonly generation: number;
      readonly node: NodeId;
    }
  | { readonly kind: "release_begun"; readonly datasetId: DatasetId; readonly generation: number }
  | { readonly kind: "report"; readonly datasetId: DatasetId; readonly report: Report }
  /** Volumes named by containers of this node's engine, running or not; whole list. */
  | {
      readonly kind: "containers";
      readonly containers: readonly {
        readonly id: string;
        readonly name: string;
        readonly running: boolean;
        readonly volumes: readonly string[];
      }[];
    }
  /** Volumes of the engine's own that have the name of a dataset; whole list, empty at first. */
  | { readonly kind: "local_volumes"; readonly names: readonly string[] }
  /** The agent started a container that the engine had given up on: its volume came late. */
  | {
      readonly kind: "container_started";
      readonly id: string;
      readonly name: string;
      readonly volumes: readonly string[];
    }
  | { readonly kind: "request"; readonly id: number; readonly request: Request };

export type RecordEntry = {
  readonly record: DatasetRecord;
  /** Who waits for this dataset; the holder gives it back once it is idle. */
  readonly wantedBy: NodeId | null;
  /** For the target of a move: where its source serves the stream; null while that is away. */
  readonly peer: PeerAddress | null;
};

export type Mode =
  | { readonly kind: "normal" }
  | { readonly kind: "read_only"; readonly code: string; readonly message: string }
  | { readonly kind: "recovering"; readonly message: string };

export type Answer =
  | { readonly kind: "ok"; readonly entry: NameEntry | null; readonly notice: string | null }
  | { readonly kind: "error"; readonly code: string; readonly message: string };

export type ControlMessage =
  | {
      readonly kind: "welcome";
      readonly session: number;
      readonly at: StorePoint;
      readonly mode: Mode;
      /** This node gets no claims until a person settled it. */
      readonly condition: Condition | null;
      readonly nodes: readonly NodeId[];
    }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "mode"; readonly mode: Mode; readonly condition: Condition | null }
  /** Whole records of the datasets that concern this node. `all`: those not listed are gone. */
  | {
      readonly kind: "records";
      readonly revision: number;
      readonly all: boolean;
      readonly entries: readonly RecordEntry[];
      readonly removed: readonly DatasetId[];
    }
  | {
      readonly kind: "names";
      readonly revision: number;
      readonly all: boolean;
      readonly entries: readonly NameEntry[];
      readonly removed: readonly string[];
    }
  /** Nodes that joined since the welcome: recovery of a lost store waits for them, too. */
  | { readonly kind: "nodes"; readonly nodes: readonly NodeId[] }
  /** Names that a local volume of some node hides, in words for people; whole list, empty first. */
  | {
      readonly kind: "shadows";
      readonly entries: readonly { readonly name: string; readonly message: string }[];
    }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answer };
