import { parseClusterId } from "../../domain/ids.ts";
import { boots, fresh } from "../../domain/record-samples.ts";
import type { Claim, DatasetRecord } from "../../domain/record.ts";
import type { ControlMessage } from "../../protocol/agent-messages.ts";
import { AgentCore } from "./agent-core.ts";
import type { AgentOptions } from "./agent-state.ts";
import type { AgentEffect, AgentEvent, ContainerSeen } from "./effects.ts";

const [era] = boots;
export const clusterId = parseClusterId("00000000-0000-4000-8000-000000000001");
const at = { storeId: "store", term: 1, instance: "control", revision: 1 };

/** What the node of the sample dataset is told once it has taken it. */
export const heldRecord: DatasetRecord = {
  ...fresh,
  generation: 1,
  claim: { node: fresh.primary, era, generation: 1, phase: "taken", before: null } satisfies Claim,
  volume: { kind: "creating", op: fresh.lineage },
};

export const volumeName = "db";

/** A core of the sample node in its first boot that knows nothing yet. */
export function agentOf(change: Partial<AgentOptions> = {}): AgentCore {
  return new AgentCore({
    node: fresh.primary,
    clusterId,
    fingerprint: "machine",
    bootId: era,
    runId: "run",
    instance: "instance",
    version: "0",
    address: { host: "10.0.0.1", peerPort: 1 },
    pools: [],
    unknownNames: "deny",
    cluster: null,
    run: null,
    mounted: [],
    nowMs: 0,
    ...change,
  });
}

/** The agent's core with a clock that a test sets, and what it did since it was last asked. */
export class TestAgent {
  readonly core = agentOf();
  readonly effects: AgentEffect[] = [];
  nowMs = 0;

  step(event: AgentEvent): void {
    const effects = this.core.step(event, this.nowMs);
    this.effects.push(...effects);
    for (const effect of effects) {
      if (effect.kind === "persist_run" || effect.kind === "persist_cluster") {
        this.step({ kind: "persisted", token: effect.token });
      }
    }
  }

  receive(message: ControlMessage): void {
    this.step({ kind: "received", message });
  }

  /** A session that tells the names and these records, all of them. */
  connect(records: readonly DatasetRecord[]): void {
    this.step({ kind: "connected" });
    const mode = { kind: "normal" } as const;
    this.receive({ kind: "welcome", session: 1, at, mode, condition: null, nodes: [] });
    const names = [{ name: volumeName, datasetId: fresh.datasetId }];
    this.receive({ kind: "names", revision: 1, all: true, entries: names, removed: [] });
    const entries = records.map((record) => ({ record, wantedBy: null, peer: null }));
    this.receive({ kind: "records", revision: 1, all: true, entries, removed: [] });
  }

  /** What a look finds. */
  see(kind: "shown" | "absent", holders = 0): void {
    const holder = { pid: 1, command: "cat", container: null };
    const observed =
      kind === "shown"
        ? { kind, holders: Array.from({ length: holders }, () => holder) }
        : ({ kind } as const);
    this.step({ kind: "observed", datasetId: fresh.datasetId, observed });
  }

  engine(containers: readonly ContainerSeen[], localVolumes: readonly string[] = []): void {
    this.step({ kind: "engine", seen: { containers, localVolumes } });
  }

  tick(): void {
    this.step({ kind: "tick" });
  }

  mount(callId: number, id: string): void {
    this.step({ kind: "called", callId, call: { kind: "mount", name: volumeName, id } });
  }

  users(): readonly string[] {
    return [...this.core.state.local(fresh.datasetId).users.keys()];
  }
}
