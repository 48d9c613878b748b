import type { DatasetId, NodeId, OpId } from "../../domain/ids.ts";
import type { DatasetRecord, Move } from "../../domain/record.ts";
import { isRefusal, recordStep } from "../../domain/record-step.ts";
import type { Holder } from "../../domain/volume.ts";
import type { LocalFlaws } from "../pool/local-agent.ts";
import { stageName } from "../pool/local-pool.ts";
import { ModelLocal } from "../pool/model-local.ts";
import { ModelLocalHost } from "../pool/model-local-host.ts";
import { ModelPeers } from "../pool/model-peers.ts";
import type { AgentFlaws } from "../world/agent-process.ts";
import type { ControlFlaws } from "../world/control-process.ts";
import type { Superblock } from "../world/kernel.ts";

/** What was received is called whole before it is on the disk. */
class Unsynced extends ModelLocal {
  protected override syncReceived(): void {}
}

export const unsynced: LocalFlaws = { driver: (machine, around) => new Unsynced(machine, around) };

/** Looks for mounts alone, and asks nobody whether anything was written since. */
class MountsOnly extends ModelLocalHost {
  protected override holdersOf(superblock: Superblock): readonly Holder[] {
    return super.holdersOf(superblock).filter(({ container }) => container !== null);
  }
}

class NeverChanged extends ModelLocal {
  override changedSinceSeal(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

export const openFiles: LocalFlaws = {
  host: (machine, around, host) => new MountsOnly(machine, around, host),
  driver: (machine, around) => new NeverChanged(machine, around),
};

/** Takes the read-only flag from a base, and puts it back. */
class FlippedBase extends ModelLocal {
  override async accept(stream: Parameters<ModelLocal["accept"]>[0]): Promise<void> {
    await super.accept(stream);
    const { datasetId, move, stage } = stream;
    if (stage !== "base") return;
    this.pool.at(datasetId).copies.get(stageName(move, "base"))?.entries.clear();
  }
}

export const flippedBase: LocalFlaws = {
  driver: (machine, around) => new FlippedBase(machine, around),
};

/** Whatever came is what was sent, and the source is not asked. */
class Trusting extends ModelPeers {
  protected override agree(): boolean {
    return true;
  }

  override confirm(): Promise<void> {
    return Promise.resolve();
  }
}

export const partials: LocalFlaws = { peers: (own, network) => new Trusting(own, network) };

/** A full pool makes room with what diverged. */
class Roomy extends ModelLocal {
  override async diverge(dataset: DatasetId, move: OpId | null): Promise<void> {
    await super.diverge(dataset, move);
    await this.step(dataset, ({ diverged }) => {
      const gone = diverged.splice(0);
      this.removed(dataset, "discard", gone, () => {});
    });
  }
}

export const roomy: LocalFlaws = { driver: (machine, around) => new Roomy(machine, around) };

/** The switch falls twice: what was aborted is committed all the same. */
export function bothWays(): ControlFlaws {
  const aborted = new Map<OpId, Move>();
  return {
    step: (record, event) => {
      if (event.kind === "move_aborted" && record.move?.phase === "sealed") {
        aborted.set(record.move.id, record.move);
      }
      const next = recordStep(record, event);
      if (!isRefusal(next) || event.kind !== "move_committed") return next;
      const move = aborted.get(event.move);
      return move === undefined ? next : recordStep({ ...record, claim: null, move }, event);
    },
  };
}

/** Who crashed before it told the target that the source is sealed does not tell it again. */
export const sealedUntold: AgentFlaws = {
  event: (event, agent) => {
    if (event.kind !== "received" || event.message.kind !== "records") return event;
    const entries = event.message.entries.filter(
      ({ record: { move } }) =>
        move?.phase !== "sealed" || move.target !== agent.machine.node || move.openedAtMs % 3 !== 0,
    );
    return { ...event, message: { ...event.message, entries } };
  },
};

/** A Mount makes the claim its own node's, of what stands there, when `takes` says so. */
function claimsAtMount(takes: (record: DatasetRecord, node: NodeId) => boolean): AgentFlaws {
  return {
    event: (event, agent) => {
      const name = event.kind === "called" && event.call.kind === "mount" ? event.call.name : null;
      const { state } = agent.core;
      const id = name === null ? undefined : state.names.get(name);
      const entry = id === undefined ? undefined : state.records.get(id);
      const { node, bootId: era } = agent.machine;
      if (entry === undefined || !takes(entry.record, node)) return event;
      const generation = entry.record.generation + 1;
      const claim = { node, era, generation, phase: "taken", before: null } as const;
      const copies = entry.record.copies
        .filter((one) => one.node === node)
        .map((one) => ({ ...one, role: "live" as const }));
      const record = { ...entry.record, claim, copies, move: null };
      const revision = state.seen?.revision ?? 0;
      const entries = [{ ...entry, record, wantedBy: null }];
      const message = { kind: "records", revision, all: false, entries, removed: [] } as const;
      agent.step({ kind: "received", message });
      return event;
    },
  };
}

/** Before the commit a source takes what it sealed for its own: a Mount there is answered. */
export const remountsSealed = claimsAtMount(
  ({ move }, node) => move?.phase === "sealed" && move.source === node,
);

/** A fallback is shown for the live copy that another node has. */
export const showsFallback = claimsAtMount(
  ({ copies, claim }, node) =>
    claim?.node !== node && copies.some((one) => one.node === node && one.role === "fallback"),
);
