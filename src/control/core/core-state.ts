import { assert } from "../../lib/assert.ts";
import type { BootId, ClusterId, DatasetId, NodeId, OpId } from "../../domain/ids.ts";
import { parseOpId } from "../../domain/ids.ts";
import type { Pool } from "../../domain/pool.ts";
import { type DatasetRecord, nameOf } from "../../domain/record.ts";
import { type RecordEvent, type Refusal, refuse, type Speaker } from "../../domain/record-event.ts";
import { isRefusal, recordStep } from "../../domain/record-step.ts";
import type {
  Answer,
  ControlMessage,
  HeldCopy,
  Hello,
  Mode,
  StorePoint,
} from "../../protocol/agent-messages.ts";
import { Retention, type RetentionTimes, retentionTimes } from "./retention.ts";
import type {
  Batch,
  ConnectionId,
  CoreContents,
  CoreOutput,
  CoreWrite,
  NamingContainer,
  NodeEntry,
  Session,
  StoreStart,
  UptimeBook,
  Wish,
} from "./state.ts";

export type CoreOptions = {
  readonly contents: CoreContents;
  readonly nowMs: number;
  /** A fresh random UUID version 4. */
  readonly newId: () => string;
  /** The record's function; the simulator plants its bugs here. */
  readonly step?: typeof recordStep;
  /** How long things are kept, where that is not as usual. */
  readonly retention?: RetentionTimes;
};

/** A creation that waits until every live session has stored the name. */
export type PendingCreate = {
  readonly datasetId: DatasetId;
  readonly revision: number;
  readonly waitingFor: Set<ConnectionId>;
  readonly untilMs: number;
  /** Plugin calls to be answered then; a second Create of the name joins the first. */
  readonly answers: {
    readonly connection: ConnectionId;
    readonly id: number;
    readonly answer: Answer;
  }[];
};

/** A hello that is decided on once a sign of life came, or did not. */
export type PendingHello =
  /** The node has a session: a restarted agent's old connection is dead, a clone's is not. */
  | { readonly asked: "old"; readonly hello: Hello; readonly old: ConnectionId }
  /** That one answered: now the one who said this hello is asked. */
  | { readonly asked: "rival"; readonly hello: Hello }
  /** It is behind its node, which had this session: only whoever still speaks was set back. */
  | { readonly asked: "behind"; readonly hello: Hello; readonly session: number };

/**
 * Everything the control service knows, and the two queues through which it acts. Deterministic: no
 * clock, no I/O. `drain` hands out writes and outputs; outputs leave after the writes are durable.
 */
export class CoreState {
  readonly storeId: string;
  readonly clusterId: ClusterId;
  readonly starts: readonly StoreStart[];
  readonly startedAtMs: number;
  readonly everRecovered: boolean;
  readonly retention: Retention;
  readonly newId: () => string;
  readonly records = new Map<DatasetId, DatasetRecord>();
  /** Names of live datasets. */
  readonly names = new Map<string, DatasetId>();
  readonly nodes = new Map<NodeId, NodeEntry>();
  readonly sessions = new Map<ConnectionId, Session>();
  readonly currentOf = new Map<NodeId, ConnectionId>();
  readonly wishes = new Map<DatasetId, Map<NodeId, Wish>>();
  /** What the containers of each node name, as it was last heard since this start. */
  readonly containers = new Map<NodeId, ReadonlyMap<string, NamingContainer>>();
  /** Local volumes of each node's engine that have the name of a dataset, likewise. */
  readonly localVolumes = new Map<NodeId, readonly string[]>();
  readonly pendingHellos = new Map<ConnectionId, PendingHello>();
  readonly pendingCreates = new Map<DatasetId, PendingCreate>();
  /** Instants of the last moves between nodes, for back-off; bounded. */
  readonly moves = new Map<DatasetId, readonly number[]>();
  /** Open moves whose target is wanted by nobody any more, and since when. */
  readonly unwantedMoves = new Map<DatasetId, { readonly move: OpId; readonly sinceMs: number }>();
  /** Nodes whose pool had no room for a local dataset: what they said, and until when it counts. */
  readonly refusedTargets = new Map<
    DatasetId,
    Map<NodeId, { readonly message: string; readonly untilMs: number }>
  >();
  /** Nodes that recovery still waits for. */
  readonly unheard = new Set<NodeId>();
  /** What nodes' own disks have, as said by those that were heard during recovery. */
  readonly heldCopies = new Map<DatasetId, Map<NodeId, readonly HeldCopy[]>>();
  mode: Mode;
  revision: number;
  readonly #step: typeof recordStep;
  #writes: CoreWrite[] = [];
  #outputs: CoreOutput[] = [];

  constructor(options: CoreOptions) {
    const { contents, nowMs, newId, step = recordStep } = options;
    this.storeId = contents.storeId;
    this.clusterId = contents.clusterId;
    this.starts = contents.starts;
    this.revision = contents.revision;
    this.startedAtMs = nowMs;
    this.everRecovered = contents.everRecovered;
    this.retention = new Retention(contents.uptime, options.retention ?? retentionTimes, nowMs);
    this.newId = newId;
    this.#step = step;
    for (const entry of contents.nodes) this.nodes.set(entry.nodeId, entry);
    for (const record of contents.records) this.index(record);
    this.mode =
      contents.readOnly ??
      (contents.recovering
        ? { kind: "recovering", message: "Recovery waits for every node to report." }
        : { kind: "normal" });
    if (this.mode.kind === "recovering") {
      // Whoever was declared dead when the backup was made may have come back since.
      for (const entry of contents.nodes) {
        if (!entry.removed) this.unheard.add(entry.nodeId);
      }
    }
  }

  drain(): Batch {
    const batch = { revision: this.revision, writes: this.#writes, outputs: this.#outputs };
    this.#writes = [];
    this.#outputs = [];
    return batch;
  }

  /** This start of the store, at its present revision. */
  point(): StorePoint {
    const start = this.starts.at(-1);
    assert(start !== undefined, "a store that serves has a start");
    const { term, instance } = start;
    return { storeId: this.storeId, term, instance, revision: this.revision };
  }

  newOp(): OpId {
    return parseOpId(this.newId());
  }

  /** Applies one event to a record and queues its save; the refusal otherwise, changing nothing. */
  apply(datasetId: DatasetId, event: RecordEvent): Refusal | null {
    const record = this.records.get(datasetId);
    if (record === undefined) return refuse("no_claim");
    const next = this.#step(record, event);
    if (isRefusal(next)) return next;
    this.save(next, record.revision);
    this.log("debug", "record.changed", { datasetId, by: event.kind, revision: this.revision });
    return null;
  }

  /** Saves a record under the next revision. `expectedRevision` null: it must be new. */
  save(record: DatasetRecord, expectedRevision: number | null): DatasetRecord {
    this.revision += 1;
    const saved = { ...record, revision: this.revision };
    this.#writes.push({ kind: "record", record: saved, expectedRevision });
    this.index(saved);
    return saved;
  }

  index(record: DatasetRecord): void {
    this.records.set(record.datasetId, record);
    const name = nameOf(record);
    if (name === null) return;
    if (record.deletion === null) this.names.set(name, record.datasetId);
    else if (this.names.get(name) === record.datasetId) this.names.delete(name);
  }

  saveNode(entry: NodeEntry): void {
    this.nodes.set(entry.nodeId, entry);
    this.#writes.push({ kind: "node", entry });
  }

  /** A creation may be answered: its name is stored wherever it must be. */
  settleCreate(pending: PendingCreate): void {
    this.pendingCreates.delete(pending.datasetId);
    this.#outputs.push({ kind: "created", datasetId: pending.datasetId });
    for (const { connection, id, answer } of pending.answers) {
      this.send(connection, { kind: "answer", id, answer });
    }
  }

  audit(atMs: number, what: Readonly<Record<string, unknown>>): void {
    // The clock may count fractions; a store keeps whole milliseconds.
    this.#writes.push({ kind: "audit", atMs: Math.floor(atMs), text: JSON.stringify(what) });
  }

  writeUptime(book: UptimeBook): void {
    this.#writes.push({ kind: "uptime", book });
  }

  writeRecovered(): void {
    this.#writes.push({ kind: "recovered" });
  }

  send(connection: ConnectionId, message: ControlMessage): void {
    this.#outputs.push({ kind: "send", connection, message });
  }

  output(output: CoreOutput): void {
    this.#outputs.push(output);
  }

  log(
    level: "warn" | "info" | "debug",
    event: string,
    fields: Readonly<Record<string, unknown>>,
  ): void {
    this.#outputs.push({ kind: "log", level, event, fields });
  }

  /** The newest session of a node, if it is connected. */
  sessionOf(node: NodeId): Session | null {
    const connection = this.currentOf.get(node);
    return (connection === undefined ? undefined : this.sessions.get(connection)) ?? null;
  }

  /** The session of a connection, only while it is its node's newest. */
  currentSession(connection: ConnectionId): Session | null {
    const session = this.sessions.get(connection);
    return session !== undefined && this.currentOf.get(session.node) === connection
      ? session
      : null;
  }

  speaker(session: Session): Speaker {
    return { node: session.node, era: session.era, session: session.number };
  }

  /** Live sessions in the order of node ids, so that equal states give equal choices. */
  liveSessions(): readonly Session[] {
    return [...this.currentOf.keys()]
      .sort()
      .flatMap((node) => this.sessionOf(node) ?? [])
      .filter((session) => session.condition === null);
  }

  /** Any node's description of a pool; live ones first. */
  pool(name: string): Pool | null {
    const sources = [...this.liveSessions(), ...this.nodes.values()];
    for (const { pools } of sources) {
      const found = pools.find((pool) => pool.name === name);
      if (found !== undefined) return found;
    }
    return null;
  }

  wishesFor(datasetId: DatasetId): readonly Wish[] {
    return [...(this.wishes.get(datasetId)?.values() ?? [])];
  }

  dropWish(datasetId: DatasetId, node: NodeId): void {
    const wishes = this.wishes.get(datasetId);
    wishes?.delete(node);
    if (wishes?.size === 0) this.wishes.delete(datasetId);
  }

  dropWishesOf(node: NodeId): readonly DatasetId[] {
    const touched = [...this.wishes].filter(([, wishes]) => wishes.has(node)).map(([id]) => id);
    for (const id of touched) this.dropWish(id, node);
    return touched;
  }

  /** Datasets that concern a node in any way that it must be told of. */
  concerns(record: DatasetRecord, node: NodeId): boolean {
    return (
      (record.deletion === null && record.primary === node) ||
      record.claim?.node === node ||
      record.residue === node ||
      record.superseded.includes(node) ||
      record.copies.some((copy) => copy.node === node) ||
      record.op?.executor?.node === node ||
      this.wishes.get(record.datasetId)?.has(node) === true
    );
  }

  eraOf(node: NodeId): BootId | null {
    return this.nodes.get(node)?.bootId ?? null;
  }
}
