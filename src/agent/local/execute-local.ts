import type { Call } from "../../backends/attachable.ts";
import type { LocalBackend } from "../../backends/local.ts";
import type { ClusterId, NodeId } from "../../domain/ids.ts";
import { unreachable } from "../../lib/assert.ts";
import { FlockerError } from "../../lib/errors.ts";
import { holdersText } from "../../planner/cells.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import { type ActionStep, type OnStep, stepped } from "../../planner/steps.ts";
import type { PeerAddress } from "../../protocol/agent-messages.ts";
import type { LocalHost } from "../core/host.ts";
import type { Incoming, Peers } from "./peers.ts";

/** What a step on this node's own disks works with. */
export type LocalPorts = {
  readonly node: NodeId;
  readonly clusterId: ClusterId;
  readonly host: LocalHost;
  /** The driver of a pool; `POOL_UNKNOWN` when this node has none of that name. */
  readonly backend: (pool: string) => LocalBackend;
  readonly peers: Peers;
  /** True while what an action was decided on still stands here. */
  readonly valid: (action: LocalAction) => boolean;
  readonly onStep?: OnStep | undefined;
};

type Of<Kind extends LocalAction["kind"]> = Extract<LocalAction, { readonly kind: Kind }>;
type Step = <Result>(step: ActionStep, run: () => Promise<Result>) => Promise<Result>;
type Work = {
  readonly ports: LocalPorts;
  readonly backend: LocalBackend;
  readonly step: Step;
  readonly call: Call;
};

/**
 * One action. No retries and no checks of success here: the next look is the check. `peer` is where
 * the source of a move serves it. Each call of a driver or of the host is a step of `actionSteps`.
 */
export async function executeLocal(
  action: LocalAction,
  peer: PeerAddress | null,
  ports: LocalPorts,
  call: Call,
): Promise<void> {
  refuseUnlessValid(action, ports);
  const backend = ports.backend(action.pool);
  const step: Step = (name, run) => stepped(ports.onStep, name, run);
  const { datasetId } = action;
  const work: Work = { ports, backend, step, call };
  switch (action.kind) {
    case "create_live":
      return step("create_live.create", () => create(action, work));
    case "promote_received": {
      const { move, sizeBytes } = action;
      const copy = { datasetId, move, sizeBytes };
      return step("promote_received.promote", () => backend.promote(copy, call));
    }
    case "reopen_sealed": {
      const { sizeBytes } = action;
      return step("reopen_sealed.reopen", () => backend.reopen({ datasetId, sizeBytes }, call));
    }
    case "show_live":
      return show(action, work);
    case "hide_live":
      return hide(action, work);
    case "seal_live":
      return seal(action, work);
    case "receive_copy":
      return receive(action, peer, work);
    case "diverge_live":
      return step("diverge_live.diverge", () => backend.diverge(datasetId, action.received, call));
    case "discard_partial":
      return step("discard_partial.discard", () =>
        backend.discardPartial(datasetId, action.except, call),
      );
    case "discard_copy":
      return step("discard_copy.discard", () => backend.discard(datasetId, call));
    case "stop_access":
      return step("stop_access.stop", () =>
        ports.host.stop(datasetId, backend.livePath(datasetId), call),
      );
    case "destroy_copies":
      return step("destroy_copies.destroy", () => backend.destroy(datasetId, call));
    default:
      return unreachable(action);
  }
}

function refuseUnlessValid(action: LocalAction, { valid }: LocalPorts): void {
  if (valid(action)) return;
  throw new FlockerError(
    "REVISION_CONFLICT",
    `${action.kind} was decided under generation ${action.generation}, which has ended`,
  );
}

function create(action: Of<"create_live">, { ports, backend, call }: Work): Promise<void> {
  const { datasetId, sizeBytes, from } = action;
  const identity = { ...action.identity, clusterId: ports.clusterId };
  const volume = { datasetId, sizeBytes, identity };
  return from === null ? backend.create(volume, call) : backend.rescue(from, volume, call);
}

async function show(action: Of<"show_live">, { ports, backend, step, call }: Work): Promise<void> {
  const { host, clusterId } = ports;
  const { datasetId } = action;
  const identity = { ...action.identity, clusterId };
  await step("show_live.stamp", () => backend.stamp(identity, call));
  const path = backend.livePath(datasetId);
  await step("show_live.bind", () => host.bindVolume(datasetId, path, call));
  await step("show_live.show", () => host.show(datasetId, call));
}

async function hide(
  { datasetId }: Of<"hide_live">,
  { ports, backend, step, call }: Work,
): Promise<void> {
  await step("hide_live.hide", () => ports.host.hide(datasetId, call));
  await step("hide_live.unbind", () => ports.host.unmountVolume(datasetId, call));
  await step("hide_live.sync", () => backend.sync(datasetId, call));
}

/** The proof of release: a read-only flag does not stop a file that is open. */
async function seal(
  { datasetId, move }: Of<"seal_live">,
  { ports, backend, step, call }: Work,
): Promise<void> {
  const path = backend.livePath(datasetId);
  await step("seal_live.prove", async () => {
    const holders = await ports.host.holdersAt(datasetId, path, call);
    if (holders.length === 0) return;
    throw new FlockerError("VOLUME_BUSY", `It is still held by ${holdersText(holders)}.`);
  });
  // A target that has what was sealed before must not take it for all there is.
  ports.peers.withdraw(datasetId);
  await step("seal_live.seal", () => backend.seal({ datasetId, move }, call));
}

/** Nothing is accepted that the two ends do not agree on, nor for a move that ended meanwhile. */
async function receive(
  action: Of<"receive_copy">,
  peer: PeerAddress | null,
  { ports, backend, step, call }: Work,
): Promise<void> {
  const { datasetId, stage } = action;
  const { id: move, source } = action.move;
  if (peer === null) {
    throw new FlockerError("BACKEND_UNAVAILABLE", `Node ${source} cannot be reached now.`);
  }
  const copies = await backend.look(datasetId, call);
  const hasBase = copies.some((one) => one.kind === "base" && one.move === move);
  const onBase = stage === "delta" && hasBase;
  const incoming: Incoming = { datasetId, move, stage, onBase, source, address: peer };
  const sum = await step("receive_copy.receive", () => ports.peers.fetch(incoming, backend, call));
  if (stage === "delta") {
    await step("receive_copy.confirm", () => ports.peers.confirm(incoming, sum, call));
  }
  refuseUnlessValid(action, ports);
  await step("receive_copy.accept", () => backend.accept({ datasetId, move, stage }, call));
}
