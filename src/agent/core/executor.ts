import type { AttachableBackend, Call } from "../../backends/attachable.ts";
import { type ConditionCode, conditionOfError, isConditionCode } from "../../domain/condition.ts";
import type { BootId, ClusterId, NodeId } from "../../domain/ids.ts";
import { unreachable } from "../../lib/assert.ts";
import { type ErrorCode, FlockerError, isErrorCode, messageOf } from "../../lib/errors.ts";
import type { Action } from "../../planner/action.ts";
import { type ActionStep, type OnStep, stepped } from "../../planner/steps.ts";
import type { Outcome } from "./effects.ts";
import type { Host } from "./host.ts";

/** What a step on this node works with. */
export type Ports = {
  readonly node: NodeId;
  readonly era: BootId;
  readonly clusterId: ClusterId;
  readonly host: Host;
  /** The driver of a pool; `POOL_UNKNOWN` when this node has none of that name. */
  readonly backend: (pool: string) => AttachableBackend;
  /**
   * True while the claim that an action was decided under still stands here: asked again when the
   * work lands (ADR 0013).
   */
  readonly valid: (action: Action) => boolean;
  readonly onStep?: OnStep | undefined;
};

/** One action, one step. No retries and no checks of success here: the next look is the check. */
export async function execute(action: Action, ports: Ports, call: Call): Promise<void> {
  if (!ports.valid(action)) {
    throw new FlockerError(
      "REVISION_CONFLICT",
      `${action.kind} was decided under generation ${action.generation}, which has ended`,
    );
  }
  const { host, node, era, clusterId } = ports;
  const step: Step = (name, run) => stepped(ports.onStep, name, run);
  const { datasetId } = action;
  switch (action.kind) {
    case "create_volume": {
      const { op, sizeBytes } = action;
      await step("create_volume.create", () =>
        ports.backend(action.pool).create({ datasetId, op, sizeBytes }, call),
      );
      return undefined;
    }
    case "attach_volume": {
      const attacher = { node, era, generation: action.claimed };
      await step("attach_volume.attach", () =>
        ports.backend(action.pool).attach(action.ref, attacher, call),
      );
      return undefined;
    }
    case "format_volume": {
      const { device, fileSystem } = action;
      const identity = { ...action.identity, clusterId };
      return step("format_volume.format", () => host.format(device, identity, fileSystem, call));
    }
    case "mount_volume": {
      const { device, fileSystem } = action;
      const identity = { ...action.identity, clusterId };
      return step("mount_volume.mount", () => host.mountVolume(device, identity, fileSystem, call));
    }
    case "show_volume":
      return step("show_volume.show", () => host.show(datasetId, call));
    case "hide_volume":
      return step("hide_volume.hide", () => host.hide(datasetId, call));
    case "unmount_volume":
      return step("unmount_volume.unmount", () => host.unmountVolume(datasetId, call));
    case "detach_volume":
      return detach(action, ports, call);
    case "cut_access":
      return step("cut_access.cut", () => host.cut(datasetId, call));
    case "force_detach":
      return step("force_detach.force", () =>
        ports.backend(action.pool).forceDetach(action.ref, action.target, call),
      );
    case "destroy_volume":
      return step("destroy_volume.destroy", () =>
        ports.backend(action.pool).destroy(action.ref, datasetId, call),
      );
    default:
      return unreachable(action);
  }
}

type Step = <Result>(step: ActionStep, run: () => Promise<Result>) => Promise<Result>;

/** The device is held exclusively until it is gone: nobody can open it in between. */
async function detach(
  action: Extract<Action, { readonly kind: "detach_volume" }>,
  { host, backend, node, onStep }: Ports,
  call: Call,
): Promise<void> {
  const { device, ref, pool } = action;
  const detached = (): Promise<void> =>
    stepped(onStep, "detach_volume.detach", () => backend(pool).detach(ref, node, call));
  if (device === null) return detached();
  const hold = await stepped(onStep, "detach_volume.hold", () =>
    host.holdExclusively(device, call),
  );
  try {
    await detached();
  } finally {
    await stepped(onStep, "detach_volume.let_go", () => hold.release());
  }
}

/**
 * What a step that failed comes to. Without a definitive answer the request may still land; a
 * refusal of ours never does. A driver or the host may say in `details` as what it shows.
 */
export function failureOf(error: unknown): Extract<Outcome, { readonly kind: "failed" }> {
  const code = codeOf(error);
  return {
    kind: "failed",
    code,
    condition: conditionIn(error) ?? conditionOfError(code),
    message: messageOf(error),
    indefinite:
      code === null ||
      code === "DEADLINE_EXCEEDED" ||
      code === "BACKEND_UNAVAILABLE" ||
      code === "COMMAND_FAILED",
  };
}

function codeOf(error: unknown): ErrorCode | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return isErrorCode(error.code) ? error.code : null;
}

function conditionIn(error: unknown): ConditionCode | null {
  if (!(error instanceof FlockerError)) return null;
  const { condition } = error.details;
  return isConditionCode(condition) ? condition : null;
}
