import type { DatasetId, NodeId } from "../../domain/ids.ts";
import { anonymousName, type DatasetRecord, nameOf } from "../../domain/record.ts";
import { entryVersion, namesDigest, recordsDigest } from "../../protocol/digest.ts";
import type { NameEntry, PeerAddress, RecordEntry } from "../../protocol/agent-messages.ts";
import type { CoreState } from "./core-state.ts";
import type { Session } from "./state.ts";

/** Tells every live session that a record concerns, or concerned; nothing when nothing changed. */
export function pushRecord(state: CoreState, record: DatasetRecord, wantedBy: NodeId | null): void {
  for (const node of [...state.currentOf.keys()].sort()) {
    const session = state.sessionOf(node);
    if (session === null) continue;
    const entry: RecordEntry = { record, wantedBy, peer: peerFor(state, record, node) };
    const version = entryVersion(entry);
    const had = session.sent.get(record.datasetId);
    if (!state.concerns(record, node)) {
      if (had === undefined) continue;
      session.sent.delete(record.datasetId);
      sendRecords(state, session, { all: false, entries: [], removed: [record.datasetId] });
    } else if (had !== version) {
      session.sent.set(record.datasetId, version);
      sendRecords(state, session, { all: false, entries: [entry], removed: [] });
    }
  }
}

/** After a hello: the whole part of this node, unless its digest says that it has it. */
export function pushAllRecords(
  state: CoreState,
  session: Session,
  wantedBy: (record: DatasetRecord) => NodeId | null,
  digest: string,
): void {
  const entries: readonly RecordEntry[] = [...state.records.values()]
    .filter((record) => state.concerns(record, session.node))
    .map((record) => ({
      record,
      wantedBy: wantedBy(record),
      peer: peerFor(state, record, session.node),
    }));
  session.sent.clear();
  for (const entry of entries) session.sent.set(entry.record.datasetId, entryVersion(entry));
  // An empty set is sent too: the agent must learn that it was told everything.
  if (recordsDigest(entries) === digest && entries.length > 0) {
    sendRecords(state, session, { all: false, entries: [], removed: [] });
  } else sendRecords(state, session, { all: true, entries, removed: [] });
}

/** Only the target of a move needs to reach another agent: its source. */
function peerFor(state: CoreState, { move }: DatasetRecord, node: NodeId): PeerAddress | null {
  return move?.target === node ? (state.sessionOf(move.source)?.peer ?? null) : null;
}

function sendRecords(
  state: CoreState,
  session: Session,
  part: {
    readonly all: boolean;
    readonly entries: readonly RecordEntry[];
    readonly removed: readonly DatasetId[];
  },
): void {
  state.send(session.connection, { kind: "records", revision: state.revision, ...part });
}

/** Names that a node is told: all, but an anonymous volume only where it lives. */
function namesFor(state: CoreState, node: NodeId): ReadonlyMap<string, DatasetId> {
  return new Map(
    [...state.names].filter(([name, id]) => {
      if (!anonymousName.test(name)) return true;
      const record = state.records.get(id);
      return record !== undefined && state.concerns(record, node);
    }),
  );
}

/** After a hello: every name that this node is told, unless its digest says that it has them. */
export function pushAllNames(state: CoreState, session: Session, digest: string): void {
  const names = namesFor(state, session.node);
  session.sentNames.clear();
  for (const [name, id] of names) session.sentNames.set(name, id);
  const entries: readonly NameEntry[] = [...names].map(([name, datasetId]) => ({
    name,
    datasetId,
  }));
  const same = namesDigest(entries) === digest;
  state.send(session.connection, {
    kind: "names",
    revision: state.revision,
    all: !same,
    entries: same ? [] : entries,
    removed: [],
  });
}

/** Sends the change of one name to every session; the sessions that must store it. */
export function pushName(state: CoreState, record: DatasetRecord): readonly Session[] {
  const name = nameOf(record);
  if (name === null) return [];
  const told: Session[] = [];
  for (const node of [...state.currentOf.keys()].sort()) {
    const session = state.sessionOf(node);
    if (session === null) continue;
    const wanted = namesOne(state, name, node);
    const had = session.sentNames.get(name) ?? null;
    if (wanted === had) continue;
    if (wanted === null) session.sentNames.delete(name);
    else session.sentNames.set(name, wanted);
    state.send(session.connection, {
      kind: "names",
      revision: state.revision,
      all: false,
      entries: wanted === null ? [] : [{ name, datasetId: wanted }],
      removed: wanted === null ? [name] : [],
    });
    told.push(session);
  }
  return told;
}

function namesOne(state: CoreState, name: string, node: NodeId): DatasetId | null {
  const id = state.names.get(name);
  const record = id === undefined ? undefined : state.records.get(id);
  if (id === undefined || record === undefined) return null;
  return !anonymousName.test(name) || state.concerns(record, node) ? id : null;
}

/** A local volume of some node's engine has a dataset's name: what a person should know of it. */
export function shadowText(state: CoreState, name: string): string | null {
  const hosts = [...state.localVolumes]
    .filter(([node, names]) => names.includes(name) && !isGone(state, node))
    .map(([node]) => `${node.slice(0, 8)} (${state.nodes.get(node)?.host ?? "unknown"})`)
    .sort();
  if (hosts.length === 0) return null;
  const [noun, has] = hosts.length === 1 ? ["Node", "has"] : ["Nodes", "have"];
  return (
    `${noun} ${hosts.join(", ")} ${has} a volume ${name} of Docker's driver local: a container ` +
    "there that names it gets that one, not this dataset. Save what is in it, then remove its " +
    `containers and it there: docker volume rm ${name}`
  );
}

function isGone(state: CoreState, node: NodeId): boolean {
  const entry = state.nodes.get(node);
  return entry === undefined || entry.removed || (entry.declaredDead && !state.currentOf.has(node));
}

/** Told to everybody: `docker volume inspect` shows it wherever the dataset can be inspected. */
export function pushShadows(state: CoreState): void {
  for (const session of state.liveSessions()) sendShadows(state, session);
}

/** Only what differs from the last time. */
export function sendShadows(state: CoreState, session: Session): void {
  const names = new Set([...state.localVolumes.values()].flat());
  const entries = [...names].sort().flatMap((name) => {
    const message = shadowText(state, name);
    return message === null ? [] : [{ name, message }];
  });
  const text = JSON.stringify(entries);
  if (text === session.shadowsSent) return;
  session.shadowsSent = text;
  state.send(session.connection, { kind: "shadows", entries });
}
