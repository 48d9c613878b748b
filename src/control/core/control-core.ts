import type { AgentMessage } from "../../protocol/agent-messages.ts";
import type { NodeId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { pump } from "./claims.ts";
import { CoreState, type CoreOptions } from "./core-state.ts";
import { type WantedDataset, createDataset } from "./create.ts";
import { endSession, hello, probed } from "./hello.ts";
import { purgeDataset, type Rescue, rescueCopy, restoreDataset, tickKept } from "./kept.ts";
import { message } from "./messages.ts";
import {
  declareDead,
  deleteDataset,
  orderDataset,
  removeNode,
  replaceNode,
  tick,
} from "./operations.ts";
import { endWhenHeard } from "./recovery.ts";
import type { Batch, ConnectionId, NodeEntry } from "./state.ts";

/**
 * The control service without its surroundings. Deterministic: the same calls give the same
 * batches. The caller takes `drain()` after each call, commits its writes, and lets its outputs
 * (and any answer derived from the call) leave only after that commit and all before it.
 */
export class ControlCore {
  readonly state: CoreState;

  constructor(options: CoreOptions) {
    this.state = new CoreState(options);
    endWhenHeard(this.state, options.nowMs);
  }

  drain(): Batch {
    return this.state.drain();
  }

  receive(connection: ConnectionId, what: AgentMessage, nowMs: number): void {
    if (what.kind === "hello") {
      hello(this.state, connection, what, nowMs);
      return;
    }
    const session = this.state.currentSession(connection);
    // Messages of older sessions do nothing (ADR 0010).
    if (session !== null) message(this.state, session, what, nowMs);
  }

  /** The peer of `connection` did, or did not, show a sign of life. */
  probed(connection: ConnectionId, alive: boolean, nowMs: number): void {
    probed(this.state, connection, alive, nowMs);
  }

  disconnected(connection: ConnectionId, nowMs: number): void {
    this.state.pendingHellos.delete(connection);
    const session = this.state.sessions.get(connection);
    if (session === undefined) return;
    const touched = [...this.state.records.values()]
      .filter((record) => this.#awaits(record, session.node))
      .map(({ datasetId }) => datasetId);
    endSession(this.state, session, "disconnected");
    for (const pending of this.state.pendingCreates.values()) {
      if (pending.waitingFor.size === 0) this.state.settleCreate(pending);
    }
    for (const datasetId of touched) pump(this.state, datasetId, nowMs);
    probed(this.state, connection, false, nowMs);
  }

  /** Who waits for the node, or for what it sends, must hear that it is silent. */
  #awaits({ datasetId, primary, move }: DatasetRecord, node: NodeId): boolean {
    const wishes = this.state.wishes.get(datasetId)?.has(node) ?? false;
    return wishes || primary === node || move?.source === node || move?.target === node;
  }

  create(wanted: WantedDataset, nowMs: number): DatasetRecord {
    return createDataset(this.state, wanted, nowMs);
  }

  order(datasetId: string, primary: NodeId | null, nowMs: number): DatasetRecord {
    return orderDataset(this.state, datasetId, primary, nowMs);
  }

  delete(datasetId: string, purge: boolean, nowMs: number): DatasetRecord {
    return deleteDataset(this.state, datasetId, purge, nowMs);
  }

  restore(datasetId: string, as: string | null, nowMs: number): DatasetRecord {
    return restoreDataset(this.state, datasetId, as, nowMs);
  }

  purge(datasetId: string, nowMs: number): DatasetRecord {
    return purgeDataset(this.state, datasetId, nowMs);
  }

  rescue(wanted: Rescue, nowMs: number): DatasetRecord {
    return rescueCopy(this.state, wanted, nowMs);
  }

  declareDead(node: NodeId, force: boolean, nowMs: number): readonly string[] {
    return declareDead(this.state, node, force, nowMs);
  }

  removeNode(node: NodeId, nowMs: number): NodeEntry {
    return removeNode(this.state, node, nowMs);
  }

  replaceNode(node: NodeId, nowMs: number): NodeEntry {
    return replaceNode(this.state, node, nowMs);
  }

  tick(nowMs: number): void {
    tick(this.state, nowMs);
    tickKept(this.state, nowMs);
  }
}
