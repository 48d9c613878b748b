import { type Condition, condition } from "../../domain/condition.ts";
import type { DatasetId } from "../../domain/ids.ts";
import { liveCopy } from "../../domain/record.ts";
import { type Hello, protocolVersion, type StorePoint } from "../../protocol/agent-messages.ts";
import { pump } from "./claims.ts";
import type { CoreState } from "./core-state.ts";
import { pushAllNames, pushAllRecords, sendShadows } from "./push.ts";
import { collectHoldings, modeChanged } from "./recovery.ts";
import type { ConnectionId, NodeEntry, Session } from "./state.ts";
import { wantedBy } from "./moves.ts";

const formerBootsMax = 16;

/** A hello is admitted, refused, or waits for the old session's sign of life. */
export function hello(
  state: CoreState,
  connection: ConnectionId,
  message: Hello,
  nowMs: number,
): void {
  const refusal = refusalOf(state, message);
  if (refusal !== null) {
    refuse(state, connection, refusal.code, refusal.message);
    return;
  }
  const entry = state.nodes.get(message.node);
  if (entry !== undefined && entry.fingerprint !== message.fingerprint) {
    clash(state, connection, entry, message);
    return;
  }
  const old = state.sessionOf(message.node);
  if (old !== null && old.connection !== connection) {
    state.pendingHellos.set(connection, { asked: "old", hello: message, old: old.connection });
    state.output({ kind: "probe", connection: old.connection });
    return;
  }
  admitUnlessLate(state, connection, message, nowMs);
}

/**
 * A hello may be late on a connection that its agent has given up: what was acknowledged on a newer
 * one, or the next boot, is then no proof of a machine that was set back.
 */
function admitUnlessLate(
  state: CoreState,
  connection: ConnectionId,
  message: Hello,
  nowMs: number,
): void {
  const entry = state.nodes.get(message.node);
  if (entry !== undefined && isBehind(state, entry, message)) {
    const { session } = entry;
    state.pendingHellos.set(connection, { asked: "behind", hello: message, session });
    state.output({ kind: "probe", connection });
  } else admit(state, connection, message, nowMs);
}

/**
 * The answer to a probe. Two machines speak for one node only if both answer: the hello of a
 * process that has ended may arrive after its successor's.
 */
export function probed(state: CoreState, asked: ConnectionId, alive: boolean, nowMs: number): void {
  const own = state.pendingHellos.get(asked);
  if (own !== undefined && own.asked !== "old") {
    state.pendingHellos.delete(asked);
    const entry = state.nodes.get(own.hello.node);
    if (!alive || entry === undefined) {
      state.output({ kind: "close", connection: asked, reason: "silent" });
    } else if (own.asked === "rival") clash(state, asked, entry, own.hello);
    else if (own.session === entry.session) admit(state, asked, own.hello, nowMs);
    // The answer may be older than the session that the node, rebooted, opened meanwhile.
    else hello(state, asked, own.hello, nowMs);
    return;
  }
  for (const [connection, pending] of state.pendingHellos) {
    if (pending.asked !== "old" || pending.old !== asked) continue;
    if (alive) {
      state.pendingHellos.set(connection, { asked: "rival", hello: pending.hello });
      state.output({ kind: "probe", connection });
      continue;
    }
    state.pendingHellos.delete(connection);
    const session = state.sessions.get(asked);
    if (session !== undefined) endSession(state, session, "silent");
    admitUnlessLate(state, connection, pending.hello, nowMs);
  }
}

function refusalOf(
  state: CoreState,
  message: Hello,
): { readonly code: string; readonly message: string } | null {
  if (message.protocol !== protocolVersion) {
    return {
      code: "PROTOCOL_VERSION",
      message:
        `This control service speaks protocol ${protocolVersion}, the agent ` +
        `${message.protocol}. Install the same version on both.`,
    };
  }
  if (message.clusterId !== state.clusterId) {
    return {
      code: "CLUSTER_MISMATCH",
      message:
        `The agent belongs to cluster ${message.clusterId}, not to ${state.clusterId}. Correct ` +
        "control-service in its agent.yml; or, to join this cluster, give it a certificate of " +
        "this one: flocker-ca create-node-certificate",
    };
  }
  if (state.nodes.get(message.node)?.removed === true) {
    return {
      code: "NODE_REMOVED",
      message:
        `Node ${message.node} was removed from the cluster. To join this machine again, give it ` +
        "a new certificate: flocker-ca create-node-certificate",
    };
  }
  return null;
}

function refuse(state: CoreState, connection: ConnectionId, code: string, message: string): void {
  state.log("warn", "hello.refused", { code, message });
  state.send(connection, { kind: "refused", code, message });
  state.output({ kind: "close", connection, reason: code });
}

/** Neither machine gets new claims; the one that was here keeps what it holds. */
function clash(state: CoreState, connection: ConnectionId, entry: NodeEntry, message: Hello): void {
  const text =
    `Two machines use the certificate of node ${entry.nodeId}: ${entry.host} and ` +
    `${message.address.host}. Neither gets new claims. Turn the wrong one off; then ` +
    `flockerctl node replace ${entry.nodeId}`;
  if (entry.clashWith === null) {
    state.saveNode({ ...entry, clashWith: message.fingerprint });
    const session = state.sessionOf(entry.nodeId);
    if (session !== null) setCondition(state, session, condition("NODE_ID_CLASH", text));
  }
  refuse(state, connection, "NODE_ID_CLASH", text);
}

/** Tells the node why it gets no claims; null ends that. */
export function setCondition(state: CoreState, session: Session, what: Condition | null): void {
  session.condition = what;
  state.send(session.connection, { kind: "mode", mode: state.mode, condition: what });
}

function admit(state: CoreState, connection: ConnectionId, message: Hello, nowMs: number): void {
  const old = state.sessionOf(message.node);
  if (old !== null && old.connection !== connection) endSession(state, old, "replaced");
  const former = state.nodes.get(message.node);
  checkPoint(state, message.seen);
  const wentBack = former !== undefined && isBehind(state, former, message);
  const entry: NodeEntry = {
    nodeId: message.node,
    fingerprint: message.fingerprint,
    bootId: message.bootId,
    formerBootIds: formerBoots(former, message),
    session: (former?.session ?? 0) + 1,
    ackedRevision: acknowledged(state, former, message),
    ackedStoreId: former?.ackedStoreId ?? state.storeId,
    host: message.address.host,
    pools: message.pools,
    removed: false,
    // Who speaks is not dead: what a person ended stays ended in the records.
    declaredDead: false,
    clashWith: former?.clashWith ?? null,
    wentBack,
    unforced: former?.unforced ?? [],
  };
  state.saveNode(entry);
  const session: Session = {
    connection,
    node: message.node,
    era: message.bootId,
    number: entry.session,
    instance: message.instance,
    sinceMs: nowMs,
    pools: message.pools,
    poolsAway: message.poolsAway,
    peer: { host: message.address.host, port: message.address.peerPort },
    observations: new Map(),
    containers: state.containers.get(message.node) ?? new Map(),
    sent: new Map(),
    sentNames: new Map(),
    shadowsSent: "[]",
    ackedRevision: 0,
    condition: conditionOf(entry),
  };
  state.sessions.set(connection, session);
  state.currentOf.set(message.node, connection);
  const touched = new Set(state.dropWishesOf(message.node));
  for (const id of endEra(state, message, former, nowMs)) touched.add(id);
  const recovered = collectHoldings(state, session, message, nowMs);
  for (const id of supersedeUnclaimed(state, message)) touched.add(id);
  welcome(state, session, message, nowMs);
  if (former === undefined) tellOthers(state, session);
  for (const record of state.records.values()) {
    // With a claim elsewhere too: its holder must hear that the one it waits for is back.
    const has = liveCopy(record)?.node === message.node;
    const needsNode = record.op !== null || record.primary === message.node || has;
    if (recovered || needsNode || record.move !== null || touched.has(record.datasetId)) {
      pump(state, record.datasetId, nowMs);
    }
  }
}

/** What its disks remember is what counts from a boot on: they may have been set back as well. */
function acknowledged(
  state: CoreState,
  former: NodeEntry | undefined,
  { bootId, seen }: Hello,
): number {
  if (former === undefined || former.bootId === bootId) return former?.ackedRevision ?? 0;
  return seen?.storeId === state.storeId ? Math.min(former.ackedRevision, seen.revision) : 0;
}

/** Why a node gets no claims, as the registry has it. */
export function conditionOf(entry: NodeEntry): Condition | null {
  if (entry.clashWith !== null) {
    return condition(
      "NODE_ID_CLASH",
      `Another machine used the certificate of node ${entry.nodeId}; no claims are given to it ` +
        `until a person settles it: flockerctl node replace ${entry.nodeId}`,
    );
  }
  return entry.wentBack
    ? condition(
        "NODE_WENT_BACK",
        `Node ${entry.nodeId} was set back to an earlier state (a snapshot of the machine). What ` +
          "it has in memory is older than its disks' owners; reboot it.",
      )
    : null;
}

function formerBoots(former: NodeEntry | undefined, message: Hello): NodeEntry["formerBootIds"] {
  if (former === undefined) return [];
  if (former.bootId === message.bootId) return former.formerBootIds;
  return [former.bootId, ...former.formerBootIds].slice(0, formerBootsMax);
}

/**
 * A boot that ended, or an agent that is behind what it acknowledged: a snapshot came back. An
 * agent that remembers nothing was not set back: its files were moved away.
 */
function isBehind(state: CoreState, former: NodeEntry, message: Hello): boolean {
  if (former.wentBack && former.bootId === message.bootId) return true;
  if (former.formerBootIds.includes(message.bootId)) return true;
  if (former.bootId !== message.bootId || former.ackedStoreId !== state.storeId) return false;
  const { seen } = message;
  // Of another store, its numbers say nothing. Who was served by another start than this store
  // remembers proves that the store went back.
  if (seen?.storeId !== state.storeId || verdictOn(state, seen) !== null) return false;
  return seen.revision < former.ackedRevision;
}

/** The reboot of a node ends its old era's claims and the ops that it carried out. */
function endEra(
  state: CoreState,
  message: Hello,
  former: NodeEntry | undefined,
  nowMs: number,
): readonly DatasetId[] {
  const rebooted = former !== undefined && former.bootId !== message.bootId;
  const touched: DatasetId[] = [];
  for (const { datasetId, claim, superseded, op } of state.records.values()) {
    const ended = claim?.node === message.node && claim.era !== message.bootId;
    if (ended || (rebooted && superseded.includes(message.node))) {
      const era = message.bootId;
      const refused = state.apply(datasetId, { kind: "rebooted", node: message.node, era });
      if (refused === null) touched.push(datasetId);
    }
    const executor = op?.executor ?? null;
    if (op === null || executor?.node !== message.node) continue;
    if (executor.era === message.bootId && message.heldOps.includes(op.id)) continue;
    if (state.apply(datasetId, { kind: "op_vanished", op: op.id, atMs: nowMs }) === null) {
      touched.push(datasetId);
    }
  }
  return touched;
}

/**
 * What a node has mounted without a claim was taken from it while it was away, or granted by a
 * store that is lost: it must cut it before anything else (ADR 0009).
 */
function supersedeUnclaimed(state: CoreState, message: Hello): readonly DatasetId[] {
  if (state.mode.kind !== "normal") return [];
  return message.holdings
    .filter(({ mounted }) => mounted)
    .map(({ datasetId }) => datasetId)
    .filter((datasetId) => {
      const event = { kind: "found_mounted", node: message.node, era: message.bootId } as const;
      return state.apply(datasetId, event) === null;
    });
}

function welcome(state: CoreState, session: Session, message: Hello, nowMs: number): void {
  state.send(session.connection, {
    kind: "welcome",
    session: session.number,
    at: state.point(),
    mode: state.mode,
    condition: session.condition,
    nodes: [...state.nodes.keys()].sort(),
  });
  state.log("info", "session.opened", {
    nodeId: session.node,
    session: session.number,
    bootId: session.era,
  });
  // What a doubted store remembers is told to nobody: an agent would act on claims long ended.
  if (state.mode.kind !== "normal") return;
  pushAllNames(state, session, message.namesDigest);
  // It is live before those names are acknowledged, so it must have stored them too.
  for (const pending of state.pendingCreates.values()) {
    pending.waitingFor.add(session.connection);
  }
  pushAllRecords(state, session, (record) => wantedBy(state, record, nowMs), message.recordsDigest);
  sendShadows(state, session);
}

/** On an empty store the agents are the only registry of nodes: each one has to know them all. */
function tellOthers(state: CoreState, { connection, node }: Session): void {
  for (const other of state.sessions.keys()) {
    if (other !== connection) state.send(other, { kind: "nodes", nodes: [node] });
  }
}

/** Where the agent's last seen point lies outside of this store's own history (ADR 0007). */
function checkPoint(state: CoreState, seen: StorePoint | null): void {
  if (seen === null || state.mode.kind !== "normal") return;
  const verdict = verdictOn(state, seen);
  if (verdict === null) return;
  const message =
    verdict === "TWO_CONTROL_SERVICES"
      ? "An agent was served by another control service of the same term: two of them run on " +
        "copies of one store. Stop the wrong one, then: flocker control recover"
      : "An agent has seen a later state than this store holds: the store went back (a restored " +
        "backup or snapshot) or is another one. Nothing is changed before: flocker control recover";
  state.mode = { kind: "read_only", code: verdict, message };
  state.log("warn", "store.doubted", { code: verdict, seen, point: state.point() });
  modeChanged(state);
}

function verdictOn(
  state: CoreState,
  seen: StorePoint,
): "STORE_WENT_BACK" | "TWO_CONTROL_SERVICES" | null {
  if (seen.storeId !== state.storeId) {
    // A late node of the store that was lost: the recovery ended without it by a person's word.
    return state.everRecovered ? null : "STORE_WENT_BACK";
  }
  const index = state.starts.findIndex(({ term }) => term === seen.term);
  const start = state.starts[index];
  if (start === undefined) return "STORE_WENT_BACK";
  if (start.instance !== seen.instance) return "TWO_CONTROL_SERVICES";
  const next = state.starts[index + 1];
  // What a start made ends where the next one began.
  const last = next === undefined ? state.revision : next.firstRevision;
  return seen.revision > last ? "STORE_WENT_BACK" : null;
}

/** The node's wishes go with its session, its claims stay; the connection is closed. */
export function endSession(state: CoreState, session: Session, reason: string): void {
  state.sessions.delete(session.connection);
  if (state.currentOf.get(session.node) === session.connection) {
    state.currentOf.delete(session.node);
  }
  state.dropWishesOf(session.node);
  for (const pending of state.pendingCreates.values()) {
    pending.waitingFor.delete(session.connection);
  }
  state.log("info", "session.closed", {
    nodeId: session.node,
    session: session.number,
    reason,
  });
  state.output({ kind: "close", connection: session.connection, reason });
}
