import { unreachable } from "../../lib/assert.ts";
import type { ControlMessage, Hello, Holding } from "../../protocol/agent-messages.ts";
import { protocolVersion } from "../../protocol/agent-messages.ts";
import { namesDigest, recordsDigest } from "../../protocol/digest.ts";
import type { AgentState, Local } from "./agent-state.ts";
import { kick, report, sayTaken } from "./dataset-loop.ts";
import { abortIfLost, moveMayHaveEnded } from "./local-steps.ts";
import { declineLate, sendWish, usableClaim } from "./mounts.ts";
import { answered } from "./plugin.ts";

/** What this agent is and has, said first on every connection. */
export function helloOf(state: AgentState): Hello {
  const { options } = state;
  return {
    kind: "hello",
    protocol: protocolVersion,
    version: options.version,
    node: options.node,
    clusterId: options.clusterId,
    fingerprint: options.fingerprint,
    bootId: options.bootId,
    runId: options.runId,
    instance: options.instance,
    address: options.address,
    pools: options.pools,
    poolsAway: options.poolsAway ?? [],
    seen: state.seen,
    recordsDigest: recordsDigest(state.records.values()),
    namesDigest: namesDigest([...state.names].map(([name, datasetId]) => ({ name, datasetId }))),
    holdings: holdings(state),
    nodes: [...state.nodes].sort(),
    // Whoever is alive and was asked goes on; only another process or boot lets an op vanish.
    heldOps: [...state.records.values()].flatMap(({ record }) =>
      record.op !== null && record.op.executor?.node === options.node ? [record.op.id] : [],
    ),
  };
}

function holdings(state: AgentState): readonly Holding[] {
  const nameOfId = new Map([...state.names].map(([name, id]) => [id, name]));
  const last = new Map(
    (state.options.cluster?.records ?? []).map((record) => [record.datasetId, record]),
  );
  for (const { record } of state.records.values()) last.set(record.datasetId, record);
  const ids = new Set([
    ...last.keys(),
    ...nameOfId.keys(),
    ...state.generations.keys(),
    ...state.options.mounted,
    ...(state.options.copies?.keys() ?? []),
  ]);
  return [...ids].sort().map((datasetId) => {
    const local = state.datasets.get(datasetId);
    const mounted = mayBeMounted(state, datasetId);
    return {
      datasetId,
      name: nameOfId.get(datasetId) ?? null,
      generation: state.generations.get(datasetId) ?? 0,
      mounted,
      claim: usableClaim(state, datasetId),
      record: last.get(datasetId) ?? null,
      copies: local?.found?.copies ?? [],
    };
  });
}

/** What a child of an earlier process still works on may be, or become so: nobody could look. */
function mayBeMounted(state: AgentState, datasetId: Holding["datasetId"]): boolean {
  const see = state.datasets.get(datasetId)?.observed ?? null;
  if (see?.kind === "unknown" && see.busy) {
    const { node, bootId } = state.options;
    const claim = state.records.get(datasetId)?.record.claim ?? null;
    if (claim?.node === node && claim.era === bootId) return true;
  } else if (see !== null) return ["mounted", "shown", "held"].includes(see.kind);
  return state.options.mounted.includes(datasetId);
}

/** A connection was opened: no session counts before the next welcome. */
export function connected(state: AgentState): void {
  state.connected = true;
  state.link = null;
  state.emit({ kind: "send", message: helloOf(state) });
}

/** What is held is gone on with; nothing is said before the next session. */
export function disconnected(state: AgentState): void {
  state.connected = false;
  state.link = null;
}

/** A message of the control service. Whole records replace what was known of a dataset. */
export function received(state: AgentState, message: ControlMessage, nowMs: number): void {
  switch (message.kind) {
    case "welcome":
      return welcome(state, message, nowMs);
    case "refused":
      state.log("warn", "hello.refused", { code: message.code, message: message.message });
      return state.emit({ kind: "disconnect", reason: message.code });
    case "mode":
      if (state.link !== null) {
        state.link.mode = message.mode;
        state.link.condition = message.condition;
        for (const datasetId of state.records.keys()) {
          abortIfLost(state, state.local(datasetId));
          cutIfBusy(state, state.local(datasetId));
          kick(state, datasetId);
        }
      }
      return undefined;
    case "records":
      return records(state, message, nowMs);
    case "names":
      return names(state, message);
    case "nodes":
      for (const node of message.nodes) state.nodes.add(node);
      return state.persistCluster(null);
    case "shadows":
      state.shadows.clear();
      for (const { name, message: text } of message.entries) state.shadows.set(name, text);
      return undefined;
    case "answer":
      return answered(state, message.id, message.answer, nowMs);
    default:
      return unreachable(message);
  }
}

type Of<Kind extends ControlMessage["kind"]> = Extract<ControlMessage, { readonly kind: Kind }>;

function welcome(state: AgentState, message: Of<"welcome">, nowMs: number): void {
  const { session, at, mode, condition } = message;
  state.link = { session, at, mode, condition, synced: false, shadowsSent: "[]" };
  state.shadows.clear();
  for (const node of message.nodes) state.nodes.add(node);
  state.log("info", "session.opened", { session, term: at.term });
  // A new session voids the node's wishes and forgets what it observed: both are said again.
  for (const local of state.datasets.values()) {
    local.sent = "";
    local.takenSent = null;
    report(state, local);
    sendWish(state, local, nowMs);
    if (local.phase === "idle") local.wakeAtMs = nowMs;
  }
  for (const { message: request } of state.requests.values()) state.send(request);
  sendContainers(state);
  sendShadows(state);
}

/** Volumes of the engine's own that have the name of a dataset: a container gets those instead. */
export function sendShadows(state: AgentState): void {
  if (state.engine === null || state.link === null) return;
  const shadows = state.engine.localVolumes.filter((name) => state.names.has(name));
  const text = JSON.stringify(shadows);
  if (text === state.link.shadowsSent) return;
  state.link.shadowsSent = text;
  state.send({ kind: "local_volumes", names: shadows });
}

/** What the engine runs, for every session anew: a removal elsewhere rests on it. */
export function sendContainers(state: AgentState): void {
  if (state.engine === null) return;
  const containers = state.engine.containers
    .filter(({ volumes }) => volumes.length > 0)
    .map(({ id, name, state: phase, volumes }) => ({
      id,
      name,
      running: phase === "running",
      volumes,
    }));
  state.send({ kind: "containers", containers });
}

function seenUpTo(state: AgentState, revision: number): void {
  // What a doubted store says must not replace the proof that it went back.
  if (state.link === null || state.link.mode.kind === "read_only") return;
  const { at } = state.link;
  // Names and records are told apart: an older revision may come last. Saying less than what was
  // acknowledged is what a machine does that was set back.
  const known = state.seen?.instance === at.instance ? state.seen.revision : 0;
  state.seen = { ...at, revision: Math.max(known, revision) };
  state.persistCluster({ kind: "ack", revision });
}

function records(state: AgentState, message: Of<"records">, nowMs: number): void {
  if (state.link === null) return;
  const touched = new Set(message.entries.map(({ record }) => record.datasetId));
  const listed = new Set(touched);
  if (message.all) {
    for (const id of state.records.keys()) {
      if (!listed.has(id)) {
        state.records.delete(id);
        touched.add(id);
      }
    }
  }
  for (const entry of message.entries) {
    const { record } = entry;
    const before = state.records.get(record.datasetId)?.record.move ?? null;
    moveMayHaveEnded(state.local(record.datasetId), before, record.move);
    state.records.set(record.datasetId, entry);
    const claim = record.claim?.node === state.options.node ? record.claim.generation : 0;
    const known = state.generations.get(record.datasetId) ?? 0;
    if (claim > known) state.generations.set(record.datasetId, claim);
  }
  for (const id of message.removed) {
    state.records.delete(id);
    touched.add(id);
  }
  state.synced = true;
  if (!state.link.synced) {
    state.link.synced = true;
    forgetUnheard(state);
    for (const id of state.options.copies?.keys() ?? []) touched.add(id);
  }
  seenUpTo(state, message.revision);
  state.persistRun(null);
  for (const id of [...touched].sort()) {
    const local = state.local(id);
    if (local.releaseAsked !== state.records.get(id)?.record.claim?.generation) {
      local.releaseAsked = null;
    }
    sayTaken(state, local);
    abortIfLost(state, local);
    cutIfBusy(state, local);
    if (!declineLate(state, local)) kick(state, id);
    sendWishAfterLoss(state, id, nowMs);
  }
}

/** A superseded node cuts first: it waits for nothing that it began before. */
function cutIfBusy(state: AgentState, { datasetId, phase }: Local): void {
  const side = state.side(datasetId);
  if (side.kind !== "attachable" || side.want.kind !== "cut" || phase === "idle") return;
  state.emit({ kind: "cut", datasetId });
}

/**
 * Only now it is known whether an earlier session's release_begun was heard: until the records came
 * no Mount may be answered under a claim that is perhaps on its way back.
 */
function forgetUnheard(state: AgentState): void {
  for (const local of state.datasets.values()) {
    const claim = state.records.get(local.datasetId)?.record.claim;
    if (claim?.phase === "releasing" || local.releaseAsked === null) continue;
    local.releaseAsked = null;
    kick(state, local.datasetId);
  }
}

/** Our claim went while Mounts were queued behind its release: they wish for the next one. */
function sendWishAfterLoss(
  state: AgentState,
  datasetId: Holding["datasetId"],
  nowMs: number,
): void {
  const claim = state.records.get(datasetId)?.record.claim ?? null;
  if (claim === null) sendWish(state, state.local(datasetId), nowMs);
}

function names(state: AgentState, message: Of<"names">): void {
  if (state.link === null) return;
  if (message.all) state.names.clear();
  for (const name of message.removed) state.names.delete(name);
  for (const { name, datasetId } of message.entries) state.names.set(name, datasetId);
  sendShadows(state);
  seenUpTo(state, message.revision);
}
