import type { AttachableBackend, Call } from "../../backends/attachable.ts";
import type { BootId, ClusterId, NodeId } from "../../domain/ids.ts";
import { unreachable } from "../../lib/assert.ts";
import { FlockerError } from "../../lib/errors.ts";
import type { Action } from "../../planner/action.ts";
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
   * work lands (design 4.4).
   */
  readonly valid: (action: Action) => boolean;
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
  const backend = ports.backend(action.pool);
  const { datasetId } = action;
  switch (action.kind) {
    case "create_volume":
      await backend.create({ datasetId, op: action.op, sizeBytes: action.sizeBytes }, call);
      return;
    case "attach_volume":
      await backend.attach(action.ref, { node, era, generation: action.claimed }, call);
      return;
    case "format_volume": {
      const identity = { ...action.identity, clusterId };
      return host.format(action.device, identity, action.fileSystem, call);
    }
    case "mount_volume": {
      const identity = { ...action.identity, clusterId };
      return host.mountVolume(action.device, identity, action.fileSystem, call);
    }
    case "show_volume":
      return host.show(datasetId, call);
    case "hide_volume":
      return host.hide(datasetId, call);
    case "unmount_volume":
      return host.unmountVolume(datasetId, call);
    case "detach_volume":
      return detach(action, ports, call);
    case "cut_access":
      return host.cut(datasetId, call);
    case "force_detach":
      return backend.forceDetach(action.ref, action.target, call);
    case "destroy_volume":
      return backend.destroy(action.ref, datasetId, call);
    default:
      return unreachable(action);
  }
}

/** The device is held exclusively until it is gone: nobody can open it in between (design 4.6). */
async function detach(
  action: Extract<Action, { readonly kind: "detach_volume" }>,
  { host, backend, node }: Ports,
  call: Call,
): Promise<void> {
  if (action.device === null) {
    await backend(action.pool).detach(action.ref, node, call);
    return;
  }
  const hold = await host.holdExclusively(action.device, call);
  try {
    await backend(action.pool).detach(action.ref, node, call);
  } finally {
    await hold.release();
  }
}
