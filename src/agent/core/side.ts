import type { DatasetId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { unreachable } from "../../lib/assert.ts";
import type { Action } from "../../planner/action.ts";
import { type Desired, desiredOf } from "../../planner/desired.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import { type DesiredLocal, desiredLocalOf } from "../../planner/local-desired.ts";
import type { AgentState } from "./agent-state.ts";

/** What the record says to this node, by the nature of its pool: each has its own table. */
export type Side =
  | {
      readonly kind: "attachable";
      readonly record: DatasetRecord | null;
      readonly want: Desired;
    }
  | { readonly kind: "local"; readonly record: DatasetRecord; readonly want: DesiredLocal };

/** What may not be done before a session said so is `unknown`, or `nothing` once it has ended. */
export function sideOf(state: AgentState, datasetId: DatasetId): Side {
  const record = state.records.get(datasetId)?.record;
  if (record?.poolKind === "local")
    return { kind: "local", record, want: wantLocal(state, record) };
  return { kind: "attachable", record: record ?? null, want: wantAttachable(state, record) };
}

function wantAttachable(state: AgentState, record: DatasetRecord | undefined): Desired {
  if (wentBack(state)) return record === undefined ? { kind: "nothing" } : { kind: "cut", record };
  if (record === undefined && !state.synced) return { kind: "unknown" };
  const { node, bootId } = state.options;
  return ruled(state, desiredOf(record, node, bootId));
}

function wantLocal(state: AgentState, record: DatasetRecord): DesiredLocal {
  if (wentBack(state)) return { kind: "cut", record };
  const { node, bootId } = state.options;
  return ruled(state, desiredLocalOf(record, node, bootId));
}

/** A machine that was set back is treated as superseded. */
function wentBack(state: AgentState): boolean {
  return state.link?.condition?.code === "NODE_WENT_BACK";
}

/** Whether what the agent knows is the word of a session that is live now. */
export function isTold({ link }: AgentState): boolean {
  return link?.synced === true;
}

type Nothing = { readonly kind: "nothing" } | { readonly kind: "unknown" };

function ruled<Want extends Desired | DesiredLocal>(state: AgentState, want: Want): Want | Nothing {
  // Only a live session's word: what was ordered once may be over, and another may have it.
  if (!isTold(state) && mustBeLive(want)) return { kind: "unknown" };
  // A store that was set back may still show a claim that was given back long ago.
  const hasEnded =
    want.kind === "use" && want.claim.generation <= (state.ended.get(want.record.datasetId) ?? 0);
  return hasEnded ? { kind: "nothing" } : want;
}

/** What destroys, or puts aside for good. */
function mustBeLive({ kind }: Desired | DesiredLocal): boolean {
  return kind === "operate" || kind === "discard" || kind === "diverge";
}

/** Whether what an action was decided on still stands. */
export function stands(side: Side, action: Action): boolean {
  if (side.kind === "local") return false;
  const { want } = side;
  switch (want.kind) {
    case "use":
    case "release":
      return want.claim.generation === action.generation;
    case "operate":
      return action.kind === "detach_volume" || ("op" in action && action.op === want.op.id);
    case "clean":
      return action.kind === "detach_volume" || action.kind === "cut_access";
    case "cut":
      return action.kind === "cut_access";
    case "nothing":
    case "unknown":
      return false;
    default:
      return unreachable(want);
  }
}

/** The same for a local pool. */
export function standsLocal(side: Side, action: LocalAction): boolean {
  const { kind } = action;
  // What no move of the record brought is never the dataset's.
  if (kind === "discard_partial") return action.except === (side.record?.move?.id ?? null);
  if (side.kind !== "local") return false;
  const { want, record } = side;
  switch (want.kind) {
    case "use":
    case "release":
      return want.claim.generation === action.generation;
    case "seal":
      // Ending the claim is a part of it, so that the claim may still stand or be gone already.
      return (
        action.generation === (record.claim?.generation ?? null) &&
        (kind !== "seal_live" || action.move === want.move.id)
      );
    case "receive":
      return kind === "receive_copy" ? action.move.id === want.move.id : kind === "diverge_live";
    case "discard":
      return kind === "discard_copy" || kind === "diverge_live";
    case "diverge":
      return kind === "diverge_live" || kind === "stop_access";
    case "cut":
      return kind === "stop_access";
    case "operate":
      return "op" in action && action.op === want.op.id;
    case "nothing":
    case "unknown":
      return false;
    default:
      return unreachable(want);
  }
}
