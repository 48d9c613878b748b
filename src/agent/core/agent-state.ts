import type { Condition } from "../../domain/condition.ts";
import type { BootId, ClusterId, DatasetId, NodeId, OpId } from "../../domain/ids.ts";
import type { Pool } from "../../domain/pool.ts";
import type { decideAttachable } from "../../planner/attachable-table.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { Action } from "../../planner/action.ts";
import type { Desired } from "../../planner/desired.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import type { DesiredLocal } from "../../planner/local-desired.ts";
import type { decideLocal } from "../../planner/local-table.ts";
import type { ObservedAttachable, ObservedLocal } from "../../planner/observed.ts";
import type {
  AgentMessage,
  HeldCopy,
  Mode,
  Progress,
  RecordEntry,
  StorePoint,
  PoolAway,
} from "../../protocol/agent-messages.ts";
import type {
  AgentEffect,
  ClusterFile,
  ContainerSeen,
  EngineSeen,
  Found,
  RunFile,
  User,
} from "./effects.ts";
import { isTold, type Side, sideOf, stands, standsLocal } from "./side.ts";
import { type Timings, timings } from "./timings.ts";
import type { WaitingStart } from "./containers.ts";

export type AgentOptions = {
  readonly node: NodeId;
  readonly clusterId: ClusterId;
  readonly fingerprint: string;
  readonly bootId: BootId;
  readonly runId: string;
  readonly instance: string;
  readonly version: string;
  readonly address: { readonly host: string; readonly peerPort: number };
  readonly pools: readonly Pool[];
  /** Pools that agent.yml names and that could not be opened. */
  readonly poolsAway?: readonly PoolAway[];
  /** deny: an unknown name is denied when nobody can be asked; hold: "maybe". */
  readonly unknownNames: "deny" | "hold";
  readonly cluster: ClusterFile | null;
  readonly run: RunFile | null;
  /** Datasets that are mounted here at the start of this process. */
  readonly mounted: readonly DatasetId[];
  /** What this node's local pools have at the start of this process. */
  readonly copies?: ReadonlyMap<DatasetId, readonly HeldCopy[]>;
  readonly nowMs: number;
  readonly timings?: Timings;
  readonly decide?: typeof decideAttachable;
  readonly decideLocal?: typeof decideLocal;
};

export type WaitingMount = {
  readonly callId: number;
  readonly id: string;
  readonly untilMs: number;
};

/** What the agent keeps of one dataset between its looks. */
export type Local = {
  readonly datasetId: DatasetId;
  phase: "idle" | "observing" | "executing";
  /** Look again at this instant; null while working or with nothing to do. */
  wakeAtMs: number | null;
  /** Something changed while it was worked on. */
  dirty: boolean;
  /** Of the step that is being executed, or was executed last. */
  actionId: string;
  failures: number;
  observed: ObservedAttachable | ObservedLocal | null;
  observedAtMs: number;
  /** A step that takes it down was begun since the last look: what that saw is over. */
  hiding: boolean;
  /** What was desired when the look was begun: only that much of a local pool is looked at. */
  lookedFor: string;
  /** What else a local pool has of it, at the last look that could tell. */
  found: Found | null;
  /** A move of it may have left something behind here. */
  sweepDue: boolean;
  /** The step on a local pool that is being executed. */
  running: LocalAction | null;
  /** Of the stream that comes in right now. */
  progress: Progress | null;
  progressAtMs: number;
  condition: Condition | null;
  readonly users: Map<string, User>;
  waiting: readonly WaitingMount[];
  lastUnmountAtMs: number | null;
  /**
   * Generation that was, or may have been, said back: later mounts queue and nothing new is done
   * under it until a session tells what became of that.
   */
  releaseAsked: number | null;
  takenSent: number | null;
  /** The op that was reported as done: it is over, though its record may not have come yet. */
  opDone: OpId | null;
  /** Highest generation that this node has, or may have, acted under: it cannot be declined. */
  begun: number;
  /** Since when this node wishes for it; kept over retries. */
  wishSinceMs: number | null;
  wishEndedAtMs: number;
  /** Until then a request without a definitive answer may still land. */
  unsettledUntilMs: number;
  /** The last observation that was sent, as text. */
  sent: string;
};

export type Link = {
  readonly session: number;
  readonly at: StorePoint;
  mode: Mode;
  condition: Condition | null;
  /** The first records of this session came: what an earlier session asked for is decided. */
  synced: boolean;
  /** Local volumes that were told in this session, as text. */
  shadowsSent: string;
};

/** A plugin call that waits for an answer of the control service. */
export type PendingRequest = {
  readonly callId: number;
  readonly next: "create" | "remove" | "get" | "path" | "mount";
  readonly name: string;
  readonly mountId: string;
  readonly message: Extract<AgentMessage, { readonly kind: "request" }>;
  readonly untilMs: number;
};

export type AfterPersist =
  | { readonly kind: "ack"; readonly revision: number }
  | {
      readonly kind: "answer_mount";
      readonly callId: number;
      readonly datasetId: DatasetId;
      readonly userId: string;
    };

function foundAtStart({ copies }: AgentOptions, datasetId: DatasetId): Found | null {
  const some = copies?.get(datasetId);
  return some === undefined ? null : { copies: some, usedBytes: null };
}

/**
 * What the agent knows, and the effects by which it acts. Deterministic: no clock, no I/O. The run
 * and cluster files of the process before are what it begins with.
 */
export class AgentState {
  readonly options: AgentOptions;
  readonly timings: Timings;
  readonly records = new Map<DatasetId, RecordEntry>();
  readonly names = new Map<string, DatasetId>();
  readonly generations = new Map<DatasetId, number>();
  /** Highest generation that this node gave back in this boot: it is never used again. */
  readonly ended = new Map<DatasetId, number>();
  /** Those that an earlier process of this agent was told of, and may have acted under. */
  readonly #inherited: ReadonlyMap<DatasetId, number>;
  readonly nodes = new Set<NodeId>();
  readonly datasets = new Map<DatasetId, Local>();
  readonly requests = new Map<number, PendingRequest>();
  readonly afterPersist = new Map<number, AfterPersist>();
  /** Contents of the run file that are not in it yet. */
  readonly runUnwritten = new Set<number>();
  seen: StorePoint | null;
  connected = false;
  link: Link | null = null;
  /** Every record that concerns this node is known, from this process' life or from /run. */
  synced = false;
  /** Containers that wait for a volume, by id. */
  readonly waitingStarts = new Map<string, WaitingStart>();
  /** The one that the engine is asked to start. */
  starting: ContainerSeen | null = null;
  engine: (EngineSeen & { readonly atMs: number }) | null = null;
  /** What people should know of a name, by the control service's word: a local volume hides it. */
  readonly shadows = new Map<string, string>();
  nextToken = 1;
  #actions = 0;
  effects: AgentEffect[] = [];

  constructor(options: AgentOptions) {
    this.options = options;
    this.timings = options.timings ?? timings;
    this.seen = options.cluster?.seen ?? null;
    this.#inherited = new Map(options.cluster?.generations);
    for (const node of options.cluster?.nodes ?? []) this.nodes.add(node);
    for (const { name, datasetId } of options.cluster?.names ?? []) this.names.set(name, datasetId);
    for (const [id, generation] of options.cluster?.generations ?? []) {
      this.generations.set(id, generation);
    }
    for (const entry of options.run?.records ?? []) {
      this.records.set(entry.record.datasetId, entry);
      const local = this.local(entry.record.datasetId);
      local.wakeAtMs = options.nowMs;
      local.releaseAsked = this.#mayBeDeclined(entry.record);
    }
    for (const [id, generation] of options.run?.ended ?? []) this.ended.set(id, generation);
    for (const [id, users] of options.run?.users ?? []) {
      for (const user of users) {
        const sinceMs = options.nowMs;
        this.local(id).users.set(user, { id: user, callId: null, sinceMs, missedAtMs: null });
      }
    }
    for (const id of options.mounted) this.local(id).wakeAtMs = options.nowMs;
    for (const id of options.copies?.keys() ?? []) this.local(id);
  }

  /** A grant that the process before may have declined before it ended. */
  #mayBeDeclined({ claim }: DatasetRecord): number | null {
    const own = claim?.node === this.options.node && claim.era === this.options.bootId;
    return own && claim.phase === "granted" && claim.before !== null ? claim.generation : null;
  }

  emit(effect: AgentEffect): void {
    this.effects.push(effect);
  }

  log(
    level: "warn" | "info" | "debug",
    event: string,
    fields: Readonly<Record<string, unknown>>,
  ): void {
    this.effects.push({ kind: "log", level, event, fields });
  }

  /** Only within a session; what is not sent is said again after the next hello. */
  send(message: AgentMessage): void {
    if (this.link !== null) this.effects.push({ kind: "send", message });
  }

  local(datasetId: DatasetId): Local {
    const known = this.datasets.get(datasetId);
    if (known !== undefined) return known;
    const pool = this.records.get(datasetId)?.record.pool ?? null;
    const fresh: Local = {
      datasetId,
      phase: "idle",
      wakeAtMs: null,
      dirty: false,
      actionId: "",
      failures: 0,
      observed: null,
      observedAtMs: 0,
      hiding: false,
      lookedFor: "",
      found: foundAtStart(this.options, datasetId),
      sweepDue: true,
      running: null,
      progress: null,
      progressAtMs: 0,
      condition: null,
      users: new Map(),
      waiting: [],
      lastUnmountAtMs: null,
      releaseAsked: null,
      takenSent: null,
      opDone: null,
      begun: this.#inherited.get(datasetId) ?? 0,
      wishSinceMs: null,
      wishEndedAtMs: 0,
      // A request of an earlier process or boot may still be under way (ADR 0013).
      unsettledUntilMs: this.options.nowMs + this.operationMsMax(pool),
      sent: "",
    };
    this.datasets.set(datasetId, fresh);
    return fresh;
  }

  /** The longest of all pools when the dataset's is not known. */
  operationMsMax(pool: string | null): number {
    const { pools } = this.options;
    const fitting = pools.filter(({ name }) => pool === null || name === pool);
    return Math.max(0, ...fitting.map(({ capabilities }) => capabilities.operationMsMax));
  }

  side(datasetId: DatasetId): Side {
    return sideOf(this, datasetId);
  }

  desired(datasetId: DatasetId): Desired | DesiredLocal {
    return this.side(datasetId).want;
  }

  /** Whether what an action was decided on still stands (ADR 0013). */
  stands(action: Action): boolean {
    return stands(this.side(action.datasetId), action);
  }

  standsLocal(action: LocalAction): boolean {
    if (action.kind === "diverge_live" && !isTold(this)) return false;
    return standsLocal(this.side(action.datasetId), action);
  }

  /** Names one step of this process in the logs. */
  nextActionId(): string {
    return `${this.options.instance.slice(0, 8)}-${(this.#actions += 1)}`;
  }

  mountpoint(datasetId: DatasetId): string {
    return `/flocker/${datasetId}`;
  }

  /** No Mount is answered with what is being taken down, whoever has the claim again meanwhile. */
  shown(local: Local): boolean {
    return local.observed?.kind === "shown" && !local.hiding;
  }

  /** Writes users and records to /run; `then` happens once they are there. */
  persistRun(then: AfterPersist | null): void {
    const users = [...this.datasets.values()]
      .filter((local) => local.users.size > 0)
      .map((local) => [local.datasetId, [...local.users.keys()]] as const);
    const ended = [...this.ended];
    const file: RunFile = { records: [...this.records.values()], users, ended };
    const token = this.#token(then);
    this.runUnwritten.add(token);
    this.effects.push({ kind: "persist_run", file, token });
  }

  persistCluster(then: AfterPersist | null): void {
    const file: ClusterFile = {
      seen: this.seen,
      names: [...this.names].map(([name, datasetId]) => ({ name, datasetId })),
      nodes: [...this.nodes],
      generations: [...this.generations],
      records: [...this.records.values()].map(({ record }) => record),
    };
    this.effects.push({ kind: "persist_cluster", file, token: this.#token(then) });
  }

  #token(then: AfterPersist | null): number {
    const token = this.nextToken;
    this.nextToken += 1;
    if (then !== null) this.afterPersist.set(token, then);
    return token;
  }
}
