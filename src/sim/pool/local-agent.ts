import type { AgentEffect, AgentEvent } from "../../agent/core/effects.ts";
import { executeLocal, type LocalPorts } from "../../agent/local/execute-local.ts";
import { heldCopies, observeLocal } from "../../agent/local/observe-local.ts";
import type { Call } from "../../backends/attachable.ts";
import type { ClusterId, DatasetId } from "../../domain/ids.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import type { LocalAction } from "../../planner/local-action.ts";
import type { HeldCopy } from "../../protocol/agent-messages.ts";
import type { Strand } from "../clock.ts";
import type { Machine } from "../world/machine.ts";
import type { ModelHost, Surroundings } from "../world/model-host.ts";
import { copiesOf } from "./local-reads.ts";
import { localPoolName } from "./names.ts";
import { ModelLocal } from "./model-local.ts";
import { ModelLocalHost } from "./model-local-host.ts";
import { ModelPeers, type Peer, type PeerNetwork, Serving } from "./model-peers.ts";

/** Where the local half of an agent could be wrong without a line of the core being so. */
export type LocalFlaws = {
  readonly host?: (machine: Machine, around: Surroundings, host: ModelHost) => ModelLocalHost;
  readonly driver?: (machine: Machine, around: Surroundings) => ModelLocal;
  readonly peers?: (own: Peer, network: PeerNetwork) => ModelPeers;
};

type Effect<Kind extends AgentEffect["kind"]> = Extract<AgentEffect, { readonly kind: Kind }>;

/** The half of an agent's process that works on the node's own pool. */
export class LocalAgent implements Peer {
  readonly machine: Machine;
  readonly strand: Strand;
  readonly serving: Serving;
  readonly #ports: LocalPorts;
  readonly #call: Call;
  readonly #aborts = new Map<DatasetId, AbortController>();

  constructor(options: {
    readonly machine: Machine;
    readonly around: Surroundings;
    readonly host: ModelHost;
    readonly clusterId: ClusterId;
    readonly call: Call;
    readonly flaws: LocalFlaws;
    readonly network: PeerNetwork;
    readonly record: (dataset: DatasetId) => DatasetRecord | null;
    readonly valid: (action: LocalAction) => boolean;
  }) {
    const { machine, around, host, call, flaws, clusterId } = options;
    this.machine = machine;
    this.strand = around.parent;
    this.#call = call;
    const driver = flaws.driver?.(machine, around) ?? new ModelLocal(machine, around);
    this.serving = new Serving(machine, driver, call, options.record);
    this.#ports = {
      node: machine.certificate,
      clusterId,
      host: flaws.host?.(machine, around, host) ?? new ModelLocalHost(machine, around, host),
      backend: () => driver,
      peers: flaws.peers?.(this, options.network) ?? new ModelPeers(this, options.network),
      valid: options.valid,
    };
  }

  end(): void {
    this.serving.end();
  }

  observe(
    { datasetId, record, want }: Effect<"observe_local">,
    then: (event: AgentEvent) => void,
  ): void {
    this.machine.context.turns.start(
      () => observeLocal({ record, want }, this.#ports, this.#call),
      (look) => then({ kind: "observed_local", datasetId, ...look }),
      (error) => {
        throw error;
      },
    );
  }

  execute({ action, peer }: Effect<"execute_local">, ended: (error: unknown) => void): void {
    const abort = new AbortController();
    this.#aborts.set(action.datasetId, abort);
    const call = { ...this.#call, signal: abort.signal };
    this.machine.context.turns.start(
      () => executeLocal(action, peer, this.#ports, call),
      () => ended(null),
      (error) => ended(error),
    );
  }

  abort(dataset: DatasetId): void {
    this.machine.context.marks.hit("receive aborted");
    this.#aborts.get(dataset)?.abort();
  }
}

/** What an agent finds in its pool when it starts. */
export function heldAtStart({ pool }: Machine): ReadonlyMap<DatasetId, readonly HeldCopy[]> {
  if (pool.missing) return new Map();
  const all = pool.datasets().map((id) => [id, copiesOf(pool.at(id))] as const);
  return new Map(all.map(([id, copies]) => [id, heldCopies(copies, localPoolName)]));
}
