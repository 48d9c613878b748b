import { newRecord } from "../../domain/new-record.ts";
import type { NodeId } from "../../domain/ids.ts";
import { type DatasetRecord, liveCopy, nameOf } from "../../domain/record.ts";
import { recoverCopies, recoverExistence } from "../../domain/record-recovery.ts";
import type { Hello, Holding } from "../../protocol/agent-messages.ts";
import type { CoreState } from "./core-state.ts";
import { pushAllNames, pushAllRecords } from "./push.ts";
import type { Session } from "./state.ts";
import { wantedBy } from "./moves.ts";

/** More than a node can have been granted of one dataset between a backup and its restore. */
const generationsPassed = 2 ** 20;

/** Tells every session of a change of mode. */
export function modeChanged(state: CoreState): void {
  for (const session of state.sessions.values()) {
    state.send(session.connection, {
      kind: "mode",
      mode: state.mode,
      condition: session.condition,
    });
  }
}

/**
 * During `flocker control recover`: what an agent holds is more than the store remembers. Raises
 * generations above all that were seen, restores claims that are mounted, and reserves names of
 * records that are lost. Grants begin when every registered node was heard.
 * True when this was the last one, and every dataset is to be looked at.
 */
export function collectHoldings(
  state: CoreState,
  session: Session,
  message: Hello,
  nowMs: number,
): boolean {
  if (state.mode.kind !== "recovering") return false;
  for (const node of message.nodes) {
    // On an empty store the agents are the only registry of nodes.
    if (!state.nodes.has(node)) state.unheard.add(node);
  }
  for (const holding of message.holdings) collectOne(state, session, holding);
  const held = new Set(message.holdings.filter(isInUse).map(({ datasetId }) => datasetId));
  for (const record of state.records.values()) {
    if (record.claim?.node !== session.node || held.has(record.datasetId)) continue;
    state.apply(record.datasetId, { kind: "claim_forgotten", node: session.node });
  }
  state.unheard.delete(session.node);
  return endWhenHeard(state, nowMs);
}

/** Also what is not mounted yet: its node goes on under that claim without asking. */
function isInUse({ mounted, claim }: Holding): boolean {
  return mounted || claim !== null;
}

function collectOne(state: CoreState, session: Session, holding: Holding): void {
  const { datasetId, generation } = holding;
  const copies = state.heldCopies.get(datasetId) ?? new Map();
  copies.set(session.node, holding.copies);
  state.heldCopies.set(datasetId, copies);
  if (!state.records.has(datasetId)) {
    state.save(lostRecord(state, session, holding), null);
    state.log("warn", "record.recovered", { datasetId, name: holding.name, whole: false });
  }
  const known = state.records.get(datasetId);
  const last = holding.record;
  if (known !== undefined && last !== null) remember(state, known, last);
  // Before the generation is raised: how much newer this claim is tells what happened since.
  if (isInUse(holding)) {
    const { node, era } = session;
    const holder = { node, era, generation: holding.claim ?? generation };
    state.apply(datasetId, { kind: "claim_recovered", holder });
  }
  state.apply(datasetId, { kind: "generation_raised", generation });
}

/** What a former store told an agent: all of it if it is newer, else what is never unsaid. */
function remember(state: CoreState, known: DatasetRecord, last: DatasetRecord): void {
  if (known.lost || last.generation > known.generation) return restore(state, known, last);
  const next = recoverExistence(known, last);
  if (next !== known) state.save(next, known.revision);
}

/**
 * The agent's last whole record replaces one that is lost or older: it was sent by a former store.
 * An op of it may still land, so it stays open until that is settled.
 */
function restore(state: CoreState, known: DatasetRecord, last: DatasetRecord): void {
  const vanished = last.op === null || last.op.executor === null ? null : state.startedAtMs;
  const op = last.op === null ? null : { ...last.op, vanishedAtMs: vanished };
  // A local one's move stays until the disks of both ends were heard.
  const move = last.poolKind === "local" ? last.move : null;
  const whole = recoverExistence(last, known);
  const metadata = freeMetadata(state, last);
  state.save({ ...whole, metadata, claim: null, op, move }, known.revision);
}

/**
 * Of two live records with one name the later has it: it was created after the other was deleted,
 * in a history that the store has lost.
 */
function freeMetadata(state: CoreState, last: DatasetRecord): DatasetRecord["metadata"] {
  const name = nameOf(last);
  const by = name === null ? undefined : state.names.get(name);
  const other = by === undefined ? undefined : state.records.get(by);
  if (last.deletion !== null || other === undefined || other.datasetId === last.datasetId) {
    return last.metadata;
  }
  if (!other.lost && other.createdAtMs >= last.createdAtMs) return nameless(last);
  state.save({ ...other, metadata: nameless(other) }, other.revision);
  return last.metadata;
}

function nameless({ metadata }: DatasetRecord): DatasetRecord["metadata"] {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== "name"));
}

function lostRecord(state: CoreState, session: Session, holding: Holding): DatasetRecord {
  const name = freeName(state, holding.name);
  const isLocal = holding.copies.length > 0;
  return {
    ...newRecord({
      datasetId: holding.datasetId,
      metadata: name === null ? {} : { name },
      maximumSizeBytes: null,
      sizeBytes: 0,
      notice: null,
      pool: holding.copies[0]?.pool ?? "default",
      poolKind: isLocal ? "local" : "attachable",
      fileSystem: isLocal ? null : "ext4",
      reclaim: "retain",
      primary: session.node,
      atMs: state.startedAtMs,
      lineage: state.newOp(),
    }),
    lost: true,
    orderOpen: false,
  };
}

function freeName(state: CoreState, name: string | null): string | null {
  return name !== null && state.names.has(name) ? null : name;
}

/** Ends recovery once nobody is waited for; called again when a node is declared dead. */
export function endWhenHeard(state: CoreState, nowMs: number): boolean {
  if (state.mode.kind !== "recovering") return false;
  if (state.unheard.size > 0 || state.nodes.size === 0) {
    const names = [...state.unheard].sort().join(", ");
    state.mode = {
      kind: "recovering",
      message:
        names === ""
          ? "Recovery waits for the first agent: no node is known yet."
          : `Recovery waits for the nodes ${names} to report; if one is gone for good: ` +
            "flockerctl node declare-dead <node>",
    };
    return false;
  }
  settleCopies(state, nowMs);
  passUnheard(state, nowMs);
  state.mode = { kind: "normal" };
  state.writeRecovered();
  state.log("info", "store.recovered", { datasets: state.records.size });
  modeChanged(state);
  // Nothing was told while the store was in doubt; whoever was heard early gets everything now.
  for (const session of state.sessions.values()) {
    pushAllNames(state, session, "");
    pushAllRecords(state, session, (record) => wantedBy(state, record, nowMs), "");
  }
  return true;
}

/**
 * Whoever was given up in this recovery, and not heard since, may have been
 * granted what no store remembers: no such generation is given to anybody else, and
 * what it may have attached is forced off it before anything is granted.
 */
function passUnheard(state: CoreState, nowMs: number): void {
  const unheard = [...state.nodes.values()].filter(
    ({ nodeId, declaredDead }) => declaredDead && state.sessionOf(nodeId) === null,
  );
  if (unheard.length === 0) return;
  const idle = [...state.records.values()].filter(({ claim }) => claim === null);
  for (const { datasetId, generation } of idle) {
    const passed = generation + generationsPassed;
    state.apply(datasetId, { kind: "generation_raised", generation: passed });
  }
  for (const entry of unheard) {
    const unforced = idle.flatMap(({ datasetId }) => {
      if (state.records.get(datasetId)?.op?.target === entry.nodeId) return [];
      const word = { node: entry.nodeId, unheard: true, op: state.newOp(), atMs: nowMs };
      const refused = state.apply(datasetId, { kind: "overridden", ...word });
      return refused?.reason === "op_open" ? [datasetId] : [];
    });
    state.saveNode({ ...entry, unforced });
  }
}

/** What the nodes' own disks have decides about local datasets, now that all were heard. */
function settleCopies(state: CoreState, nowMs: number): void {
  const isHeard = (node: NodeId): boolean => {
    const entry = state.nodes.get(node);
    return entry !== undefined && !entry.removed && !entry.declaredDead;
  };
  for (const record of state.records.values()) {
    const copies = state.heldCopies.get(record.datasetId) ?? new Map();
    const heard = new Map([...copies].filter(([node]) => isHeard(node)));
    const next = recoverCopies(record, { copies: heard, heard: isHeard, atMs: nowMs });
    if (JSON.stringify(next) === JSON.stringify(record)) continue;
    state.save(next, record.revision);
    const { datasetId, move } = record;
    const live = liveCopy(next)?.node ?? null;
    state.log("info", "copies.recovered", { datasetId, live, aborted: move?.id ?? null });
  }
  state.heldCopies.clear();
}

/** The sentence that a lost record shows. */
export function lostText(record: DatasetRecord): string {
  return (
    `The record of ${nameOf(record) ?? record.datasetId} was lost with the store; only its id and ` +
    "name are known. Its data was not touched; restore a newer backup of the store."
  );
}
