import type { AgentMessage } from "../../protocol/agent-messages.ts";
import { unreachable } from "../../lib/assert.ts";
import type { DatasetId, OpId } from "../../domain/ids.ts";
import { liveCopy } from "../../domain/record.ts";
import type { RecordEvent } from "../../domain/record-event.ts";
import { pump } from "./claims.ts";
import type { CoreState } from "./core-state.ts";
import { isGivenUp } from "./operations.ts";
import { pushShadows } from "./push.ts";
import { answerRequest } from "./requests.ts";
import type { Session } from "./state.ts";

type Message = Exclude<AgentMessage, { readonly kind: "hello" }>;
type ReportMessage = Extract<Message, { readonly kind: "report" }>;

/** A message of a node's current session; the caller dropped those of older ones. */
export function message(state: CoreState, session: Session, what: Message, nowMs: number): void {
  switch (what.kind) {
    case "ack":
      return ack(state, session, what.revision);
    case "observed":
      for (const one of what.observations) session.observations.set(one.datasetId, one);
      return undefined;
    case "wish":
      return wish(state, session, what, nowMs);
    case "wish_ended":
      state.dropWish(what.datasetId, session.node);
      return pump(state, what.datasetId, nowMs);
    case "taken":
    case "declined":
    case "release_begun": {
      const { kind, datasetId, generation } = what;
      return change(state, datasetId, { kind, by: state.speaker(session), generation }, nowMs);
    }
    case "attached_elsewhere":
      return attachedElsewhere(state, session, what, nowMs);
    case "report":
      return report(state, session, what, nowMs);
    case "containers":
      session.containers = new Map(
        what.containers.map(({ id, name, running, volumes }) => [id, { name, running, volumes }]),
      );
      state.containers.set(session.node, session.containers);
      return undefined;
    case "local_volumes":
      state.localVolumes.set(session.node, what.names);
      return pushShadows(state);
    case "container_started": {
      const { id: containerId, name, volumes } = what;
      const fields = { nodeId: session.node, containerId, name, volumes };
      state.log("info", "container.started", fields);
      return state.audit(nowMs, { kind: "container_started", ...fields });
    }
    case "request":
      return answerRequest(state, session, what, nowMs);
    default:
      return unreachable(what);
  }
}

/** While the store is in doubt nothing is changed: agents say it again until a record shows it. */
function change(state: CoreState, datasetId: DatasetId, event: RecordEvent, nowMs: number): void {
  if (state.mode.kind === "read_only") return;
  const refused = state.apply(datasetId, event);
  if (refused !== null) {
    state.log("debug", "event.refused", { datasetId, event: event.kind, reason: refused.reason });
  }
  pump(state, datasetId, nowMs);
}

/**
 * The node that it is attached to has to clean up first. Of one that a person gave up before
 * anybody knew of this, nobody waits for that: its attachment is taken by force.
 */
function attachedElsewhere(
  state: CoreState,
  session: Session,
  what: Extract<Message, { readonly kind: "attached_elsewhere" }>,
  nowMs: number,
): void {
  const { datasetId, generation, node } = what;
  const entry = state.nodes.get(node);
  if (entry === undefined || state.mode.kind === "read_only") return;
  const event = {
    kind: "attached_elsewhere",
    by: state.speaker(session),
    generation,
    node,
  } as const;
  if (state.apply(datasetId, event) !== null) return;
  state.log("warn", "attachment.unknown", { datasetId, nodeId: session.node, attachedTo: node });
  if (isGivenUp(entry)) {
    const op = state.newOp();
    state.apply(datasetId, { kind: "overridden", node, op, atMs: nowMs });
  }
  pump(state, datasetId, nowMs);
}

function ack(state: CoreState, session: Session, revision: number): void {
  session.ackedRevision = Math.max(session.ackedRevision, Math.min(revision, state.revision));
  const entry = state.nodes.get(session.node);
  if (entry !== undefined && session.ackedRevision > entry.ackedRevision) {
    state.saveNode({
      ...entry,
      ackedRevision: session.ackedRevision,
      ackedStoreId: state.storeId,
    });
  }
  for (const pending of state.pendingCreates.values()) {
    if (session.ackedRevision < pending.revision) continue;
    pending.waitingFor.delete(session.connection);
    if (pending.waitingFor.size === 0) state.settleCreate(pending);
  }
}

const wishAgeMsMax = 30_000;

function wish(
  state: CoreState,
  session: Session,
  what: Extract<Message, { readonly kind: "wish" }>,
  nowMs: number,
): void {
  const { datasetId, remainingMs, ageMs } = what;
  const record = state.records.get(datasetId);
  if (record === undefined || record.deletion !== null) return;
  const wishes = state.wishes.get(datasetId) ?? new Map();
  const former = wishes.get(session.node);
  // An agent cannot make itself older than a retry may be: the queue stays first come, first
  // served.
  const sinceMs = former?.sinceMs ?? nowMs - Math.min(Math.max(0, ageMs), wishAgeMsMax);
  wishes.set(session.node, { node: session.node, sinceMs, untilMs: nowMs + remainingMs });
  state.wishes.set(datasetId, wishes);
  pump(state, datasetId, nowMs);
}

function report(
  state: CoreState,
  session: Session,
  { datasetId, report: what }: ReportMessage,
  nowMs: number,
): void {
  const by = state.speaker(session);
  switch (what.kind) {
    case "volume_created": {
      const { op, ref, sizeBytes } = what;
      return change(state, datasetId, { kind: "volume_registered", by, op, ref, sizeBytes }, nowMs);
    }
    case "formatted":
      return change(state, datasetId, { ...what, by }, nowMs);
    case "released":
      return change(state, datasetId, { kind: "released", by, generation: what.generation }, nowMs);
    case "cleared":
      return change(state, datasetId, { kind: "residue_cleared", by }, nowMs);
    case "cut_done":
      return change(state, datasetId, { kind: "cut_reported", by }, nowMs);
    case "op_done": {
      const executor = state.records.get(datasetId)?.op?.executor ?? null;
      // Only the one who was asked, in the boot it was asked in, can have looked.
      if (executor?.node !== session.node || executor.era !== session.era) return undefined;
      return change(state, datasetId, { kind: "op_closed", op: what.op, outcome: "done" }, nowMs);
    }
    case "copied":
      return change(state, datasetId, { kind: "move_copied", by, move: what.move }, nowMs);
    case "sealed": {
      const { move, generation } = what;
      return change(state, datasetId, { kind: "move_sealed", by, move, generation }, nowMs);
    }
    case "received": {
      return committed(state, session, { datasetId, move: what.move }, nowMs);
    }
    case "settled":
      return change(state, datasetId, { kind: "copy_settled", by }, nowMs);
    case "discarded":
      return change(state, datasetId, { kind: "copy_discarded", by }, nowMs);
    default:
      return unreachable(what);
  }
}

/** The one switch was thrown: from here on the target's copy is the live one. */
function committed(
  state: CoreState,
  session: Session,
  { datasetId, move }: { readonly datasetId: DatasetId; readonly move: OpId },
  nowMs: number,
): void {
  const before = state.records.get(datasetId)?.move ?? null;
  const by = state.speaker(session);
  change(state, datasetId, { kind: "move_committed", by, move, atMs: nowMs }, nowMs);
  const record = state.records.get(datasetId);
  if (before?.id !== move || record === undefined) return;
  if (record.move?.id === move || liveCopy(record)?.node !== session.node) return;
  const { source, target, openedAtMs } = before;
  const tookMs = nowMs - openedAtMs;
  state.log("info", "move.committed", { datasetId, move, source, target, tookMs });
}
