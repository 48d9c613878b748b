import type { Report } from "../domain/report.ts";
import type { ActionKind } from "./action.ts";
import type { LocalActionKind } from "./local-action.ts";

/**
 * The steps of each action, in their order: calls of a driver or of the host between which this
 * node may end at any moment. Whoever carries an action out announces each of them before and
 * after it, and only these.
 */
export const actionSteps = {
  create_volume: ["create"],
  attach_volume: ["attach"],
  format_volume: ["format"],
  mount_volume: ["mount"],
  show_volume: ["show"],
  hide_volume: ["hide"],
  unmount_volume: ["unmount"],
  detach_volume: ["hold", "detach", "let_go"],
  cut_access: ["cut"],
  force_detach: ["force"],
  destroy_volume: ["destroy"],
  create_live: ["create"],
  promote_received: ["promote"],
  reopen_sealed: ["reopen"],
  show_live: ["stamp", "bind", "show"],
  hide_live: ["hide", "unbind", "sync"],
  seal_live: ["prove", "seal"],
  receive_copy: ["receive", "midway", "confirm", "accept"],
  diverge_live: ["diverge"],
  discard_partial: ["discard"],
  discard_copy: ["discard"],
  stop_access: ["stop"],
  destroy_copies: ["destroy"],
} as const satisfies Readonly<Record<ActionKind | LocalActionKind, readonly string[]>>;

/** What the source of a move does for its target. */
export const sendSteps = ["estimate", "stream", "midway", "sum", "confirm"] as const;

type Steps = typeof actionSteps;

export type ActionStep = {
  [Kind in keyof Steps]: `${Kind}.${Steps[Kind][number]}`;
}[keyof Steps];

/** A report is a step too: what it says may be recorded before or after its node has ended. */
export type StepName =
  | ActionStep
  | `send.${(typeof sendSteps)[number]}`
  | `report.${Report["kind"]}`;

/** Called before and after each step, which goes on once it has returned. */
export type OnStep = (step: StepName, when: "before" | "after") => Promise<void>;

/** One step, announced on both sides; what fails is not announced as done. */
export async function stepped<Result>(
  onStep: OnStep | undefined,
  step: StepName,
  run: () => Promise<Result>,
): Promise<Result> {
  if (onStep === undefined) return run();
  await onStep(step, "before");
  const result = await run();
  await onStep(step, "after");
  return result;
}

/** Announces a step once the first bytes of a stream have passed; they wait for it. */
export function midway(
  onStep: OnStep | undefined,
  step: "send.midway" | "receive_copy.midway",
): () => Promise<void> {
  let begun = false;
  return async () => {
    if (begun) return;
    begun = true;
    await stepped(onStep, step, async () => {});
  };
}

/** Every step by what it is a part of. */
export const stepTable = {
  mount: [
    "create_volume.create",
    "format_volume.format",
    "mount_volume.mount",
    "show_volume.show",
    "create_live.create",
    "show_live.stamp",
    "show_live.bind",
    "show_live.show",
    "report.volume_created",
    "report.formatted",
  ],
  release: [
    "hide_volume.hide",
    "unmount_volume.unmount",
    "hide_live.hide",
    "hide_live.unbind",
    "hide_live.sync",
    "report.released",
  ],
  attach: ["attach_volume.attach"],
  detach: [
    "detach_volume.hold",
    "detach_volume.detach",
    "detach_volume.let_go",
    "force_detach.force",
    "cut_access.cut",
    "stop_access.stop",
    "report.cleared",
    "report.cut_done",
  ],
  seal: ["seal_live.prove", "seal_live.seal", "reopen_sealed.reopen", "report.sealed"],
  send: ["send.estimate", "send.stream", "send.midway", "send.sum", "send.confirm"],
  receive: [
    "receive_copy.receive",
    "receive_copy.midway",
    "receive_copy.confirm",
    "receive_copy.accept",
    "report.copied",
  ],
  commit: ["report.received"],
  promote: ["promote_received.promote", "report.settled"],
  clean_up: [
    "diverge_live.diverge",
    "discard_partial.discard",
    "discard_copy.discard",
    "destroy_copies.destroy",
    "destroy_volume.destroy",
    "report.discarded",
    "report.op_done",
  ],
} as const satisfies Readonly<Record<string, readonly StepName[]>>;
