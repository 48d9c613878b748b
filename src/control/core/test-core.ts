import {
  type DatasetId,
  type NodeId,
  parseBootId,
  parseClusterId,
  parseDatasetId,
  parseNodeId,
  parseVolumeRef,
} from "../../domain/ids.ts";
import type { Pool } from "../../domain/pool.ts";
import { type DatasetRecord, type Move } from "../../domain/record.ts";
import type { Report } from "../../domain/report.ts";
import { assert } from "../../lib/assert.ts";
import type {
  AgentMessage,
  Hello,
  Observation,
  RecordEntry,
} from "../../protocol/agent-messages.ts";
import { ControlCore } from "./control-core.ts";
import type { WantedDataset } from "./create.ts";
import type { Batch, CoreContents, CoreOutput } from "./state.ts";

export const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
export const clusterId = parseClusterId(uuid(1));
/** Of a storage that every node reaches. */
export const pool: Pool = {
  name: "default",
  driver: "memory",
  defaultSizeBytes: 2 ** 30,
  capabilities: {
    kind: "attachable",
    exclusive: "enforced",
    fence: "none",
    sizeBytesMin: 2 ** 26,
    sizeBytesStep: 1024,
    sizeBytesMax: 2 ** 40,
    attachedMax: 16,
    listDelayMsMax: 0,
    operationMsMax: 1_000,
  },
};

/** On each node's own disks. */
export const localPool: Pool = {
  ...pool,
  name: "disks",
  driver: "btrfs",
  capabilities: { ...pool.capabilities, kind: "local" },
};

export function helloOf(node: NodeId, boot: number): Hello {
  return {
    kind: "hello",
    protocol: 1,
    version: "test",
    node,
    clusterId,
    fingerprint: node,
    bootId: parseBootId(uuid(boot)),
    runId: uuid(boot + 1),
    instance: uuid(boot + 2),
    address: { host: "10.0.0.1", peerPort: 4525 },
    pools: [pool, localPool],
    poolsAway: [],
    seen: null,
    recordsDigest: "",
    namesDigest: "",
    holdings: [],
    nodes: [],
    heldOps: [],
  };
}

/** A control core on an empty store, or on one of `contents`. */
export function coreOf(contents: Partial<CoreContents> = {}): ControlCore {
  let ids = 100;
  return new ControlCore({
    contents: {
      storeId: uuid(2),
      clusterId,
      revision: 0,
      starts: [{ term: 1, instance: uuid(3), firstRevision: 0 }],
      records: [],
      nodes: [],
      recovering: false,
      everRecovered: false,
      readOnly: null,
      ...contents,
    },
    nowMs: 0,
    newId: () => uuid((ids += 1)),
  });
}

export const a = parseNodeId(uuid(11));
export const b = parseNodeId(uuid(12));
export const c = parseNodeId(uuid(13));

/** Three nodes with a local pool each, and what they were told; time passes by a call each. */
export class LocalBed {
  readonly core: ControlCore;
  readonly id: DatasetId = parseDatasetId(uuid(50));
  readonly batches: Batch[] = [];
  nowMs = 1_000;
  readonly #told = new Map<NodeId, RecordEntry>();
  readonly #boots = new Map<NodeId, number>();
  #connections = 0;

  constructor(contents: Partial<CoreContents> = {}, present: readonly NodeId[] = [a, b, c]) {
    this.core = coreOf(contents);
    for (const node of present) this.hello(node);
  }

  get record(): DatasetRecord {
    const found = this.core.state.records.get(this.id);
    assert(found !== undefined, "the dataset was created");
    return found;
  }

  get move(): Move {
    const { move } = this.record;
    assert(move !== null, "a move is open");
    return move;
  }

  /** Created on `a`, made there, shown under generation 1. */
  heldByA(change: Partial<WantedDataset> = {}): this {
    this.create({ datasetId: this.id, metadata: { name: "db" }, ...change });
    this.take(a);
    const { volume } = this.record;
    assert(volume.kind === "creating", "the first grant is to create");
    const ref = parseVolumeRef(this.id);
    this.report(a, { kind: "volume_created", op: volume.op, ref, sizeBytes: 2 ** 30 });
    this.report(a, { kind: "formatted", generation: 1 });
    return this;
  }

  /** A whole move of an idle dataset: `to` has it at the end, and settled it. */
  moveTo(to: NodeId): this {
    const from = this.record.claim?.node;
    assert(from !== undefined, "somebody has it");
    this.order(to);
    this.report(to, { kind: "copied", move: this.move.id });
    this.release(from);
    this.seal(from);
    this.report(to, { kind: "received", move: this.move.id });
    this.take(to);
    this.report(to, { kind: "settled" });
    return this;
  }

  create(change: Partial<WantedDataset> = {}): DatasetRecord {
    const record = this.core.create(
      {
        datasetId: null,
        primary: a,
        metadata: {},
        maximumSizeBytes: null,
        pool: localPool.name,
        fileSystem: null,
        reclaim: null,
        ...change,
      },
      this.pass(),
    );
    this.#drain();
    // Every node stores the name, or its session would be closed for it.
    const { revision } = this.core.state;
    for (const node of this.core.state.currentOf.keys()) this.say(node, { kind: "ack", revision });
    return record;
  }

  order(node: NodeId): void {
    this.core.order(this.id, node, this.pass());
    this.#drain();
  }

  delete(purge = false): void {
    this.core.delete(this.id, purge, this.pass());
    this.#drain();
  }

  /** A person's word about a node that is silent. */
  declareDead(node: NodeId): void {
    this.core.declareDead(node, false, this.pass());
    this.#drain();
  }

  wish(node: NodeId, remainingMs = 100_000): void {
    this.say(node, { kind: "wish", datasetId: this.id, remainingMs, ageMs: 0 });
  }

  take(node: NodeId): void {
    this.say(node, { kind: "taken", datasetId: this.id, generation: this.record.generation });
  }

  release(node: NodeId): void {
    const { generation } = this.record;
    this.say(node, { kind: "release_begun", datasetId: this.id, generation });
  }

  released(node: NodeId): void {
    this.report(node, { kind: "released", generation: this.record.generation });
  }

  seal(node: NodeId): void {
    const { id } = this.move;
    this.report(node, { kind: "sealed", move: id, generation: this.record.generation });
  }

  report(node: NodeId, report: Report): void {
    this.say(node, { kind: "report", datasetId: this.id, report });
  }

  observe(node: NodeId, change: Partial<Observation> = {}): void {
    const observation: Observation = {
      datasetId: this.id,
      state: "live",
      shown: false,
      path: null,
      condition: null,
      users: [],
      holders: [],
      usedBytes: null,
      progress: null,
      copies: [],
      ...change,
    };
    this.say(node, { kind: "observed", observations: [observation] });
  }

  say(node: NodeId, message: Exclude<AgentMessage, { readonly kind: "hello" }>): void {
    this.core.receive(this.#connection(node), message, this.pass());
    this.#drain();
  }

  hello(node: NodeId, change: Partial<Hello> = {}): void {
    const boot = this.#boots.get(node) ?? 100 * (this.#boots.size + 1);
    this.#boots.set(node, boot);
    this.#connections += 1;
    const connection = `${node}/${this.#connections}`;
    this.core.receive(connection, { ...helloOf(node, boot), ...change }, this.pass());
    this.#drain();
  }

  reboot(node: NodeId): void {
    if (this.core.state.sessionOf(node) !== null) this.disconnect(node);
    this.#boots.set(node, (this.#boots.get(node) ?? 0) + 10);
    this.hello(node);
  }

  disconnect(node: NodeId): void {
    this.core.disconnected(this.#connection(node), this.pass());
    this.#drain();
  }

  /** A tick after `ms`. */
  tick(ms = 1): void {
    this.nowMs += ms;
    this.core.tick(this.nowMs);
    this.#drain();
  }

  /** What `node` was last told of the dataset, by whichever connection. */
  told(node: NodeId): RecordEntry | null {
    return this.#told.get(node) ?? null;
  }

  pass(): number {
    this.nowMs += 1;
    return this.nowMs;
  }

  #connection(node: NodeId): string {
    const connection = this.core.state.currentOf.get(node);
    assert(connection !== undefined, "the node is connected");
    return connection;
  }

  #drain(): void {
    const batch = this.core.drain();
    this.batches.push(batch);
    for (const output of batch.outputs) if (output.kind === "send") this.#hear(output);
  }

  #hear({ connection, message }: Extract<CoreOutput, { readonly kind: "send" }>): void {
    const node = [a, b, c].find((one) => connection.startsWith(one));
    if (node === undefined || message.kind !== "records") return;
    const entry = message.entries.find(({ record }) => record.datasetId === this.id);
    if (entry !== undefined) this.#told.set(node, entry);
    else if (message.all || message.removed.includes(this.id)) this.#told.delete(node);
  }
}
