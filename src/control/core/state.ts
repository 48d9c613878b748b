import type { Condition } from "../../domain/condition.ts";
import type { BootId, ClusterId, DatasetId, NodeId } from "../../domain/ids.ts";
import type { Pool } from "../../domain/pool.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type {
  ControlMessage,
  Mode,
  Observation,
  PeerAddress,
  PoolAway,
} from "../../protocol/agent-messages.ts";

/** What the registry remembers of a node: who may speak, and as which machine. */
export type NodeEntry = {
  readonly nodeId: NodeId;
  readonly fingerprint: string;
  readonly bootId: BootId;
  /** Boots before this one, newest first, bounded: one of them again means "set back". */
  readonly formerBootIds: readonly BootId[];
  readonly session: number;
  /** Revision that this node last acknowledged as durable on its disk. */
  readonly ackedRevision: number;
  readonly ackedStoreId: string;
  readonly host: string;
  readonly pools: readonly Pool[];
  readonly removed: boolean;
  readonly declaredDead: boolean;
  /** Another machine said hello with this node's certificate. */
  readonly clashWith: string | null;
  readonly wentBack: boolean;
  /**
   * A recovery went on without this node by a person's word. What it was granted in the history
   * that is lost nobody knows: it may have these attached, and is to be forced off them.
   */
  readonly unforced?: readonly DatasetId[];
};

export type ConnectionId = string;

/** A container that names volumes of ours, running or not. */
export type NamingContainer = {
  readonly name: string;
  readonly running: boolean;
  readonly volumes: readonly string[];
};

/** One hello that was welcomed. Only the newest of a node counts. */
export type Session = {
  readonly connection: ConnectionId;
  readonly node: NodeId;
  readonly era: BootId;
  readonly number: number;
  readonly instance: string;
  readonly sinceMs: number;
  readonly pools: readonly Pool[];
  readonly poolsAway: readonly PoolAway[];
  readonly peer: PeerAddress;
  readonly observations: Map<DatasetId, Observation>;
  /** Of its node, by id: what was last heard, by this session or one before. */
  containers: ReadonlyMap<string, NamingContainer>;
  /** What it was last told of each dataset (`entryVersion`). */
  readonly sent: Map<DatasetId, string>;
  readonly sentNames: Map<string, DatasetId>;
  /** The shadows that it was last told, as text. */
  shadowsSent: string;
  ackedRevision: number;
  condition: Condition | null;
};

/** A node's request to use a dataset now; kept in memory only, voided by its next session. */
export type Wish = { readonly node: NodeId; readonly sinceMs: number; readonly untilMs: number };

export type StoreStart = {
  readonly term: number;
  readonly instance: string;
  readonly firstRevision: number;
};

/** What the core starts from: the contents of the store at one start. */
export type CoreContents = {
  readonly storeId: string;
  readonly clusterId: ClusterId;
  readonly revision: number;
  readonly starts: readonly StoreStart[];
  readonly records: readonly DatasetRecord[];
  readonly nodes: readonly NodeEntry[];
  /** Set by `flocker control recover`: nothing is granted until every node was heard. */
  readonly recovering: boolean;
  /** A recovery was begun at some time: nodes may have seen the store that was lost. */
  readonly everRecovered: boolean;
  /** The store is a backup or a copy: read-only until recovered. */
  readonly readOnly: Mode | null;
  /** Without one, what is kept is counted from this start. */
  readonly uptime?: UptimeBook;
};

/** Counted uptime of all starts, and what it was when each thing was put aside. */
export type UptimeBook = {
  readonly totalMs: number;
  readonly marks: Readonly<Record<string, number>>;
};

export type CoreWrite =
  | {
      readonly kind: "record";
      readonly record: DatasetRecord;
      readonly expectedRevision: number | null;
    }
  | { readonly kind: "node"; readonly entry: NodeEntry }
  | { readonly kind: "audit"; readonly atMs: number; readonly text: string }
  | { readonly kind: "uptime"; readonly book: UptimeBook }
  | { readonly kind: "recovered" };

/** Leaves the process only after every write before it is durable. */
export type CoreOutput =
  | { readonly kind: "send"; readonly connection: ConnectionId; readonly message: ControlMessage }
  | { readonly kind: "close"; readonly connection: ConnectionId; readonly reason: string }
  /** Ask the peer of this connection for a sign of life; the answer is `probed`. */
  | { readonly kind: "probe"; readonly connection: ConnectionId }
  /** Every live session has stored the name: the creation may be answered. */
  | { readonly kind: "created"; readonly datasetId: DatasetId }
  | {
      readonly kind: "log";
      readonly level: "warn" | "info" | "debug";
      readonly event: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };

export type Batch = {
  readonly revision: number;
  readonly writes: readonly CoreWrite[];
  readonly outputs: readonly CoreOutput[];
};
