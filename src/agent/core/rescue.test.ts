import { expect, test } from "vitest";
import { parseDatasetId } from "../../domain/ids.ts";
import { boots, freshLocal, nodes } from "../../domain/record-samples.ts";
import type { Copy, DatasetRecord } from "../../domain/record.ts";
import type { ObservedLocal } from "../../planner/observed.ts";
import { identityOf } from "../../planner/test-decision.ts";
import { clusterId, TestAgent } from "./test-agent.ts";

const [node, other] = nodes;
const [era] = boots;
const copy: Copy = {
  node,
  role: "diverged",
  generation: 5,
  sinceMs: 1,
  settled: true,
  discarding: false,
};
/** The copy here was live until a person gave this node up. */
const lost: DatasetRecord = {
  ...freshLocal,
  generation: 9,
  copies: [copy, { ...copy, node: other, role: "live" }],
};
const rescued: DatasetRecord = {
  ...freshLocal,
  datasetId: parseDatasetId("dddddddd-0000-4000-8000-000000000002"),
  metadata: { name: "rescued" },
  generation: 1,
  claim: { node, era, generation: 1, phase: "taken", before: null },
  volume: { kind: "creating", op: freshLocal.lineage },
  copies: [],
  from: { datasetId: lost.datasetId, node },
};
const identity = { ...identityOf(8), clusterId };

function see(agent: TestAgent, { datasetId }: DatasetRecord, observed: ObservedLocal): void {
  agent.step({ kind: "observed_local", datasetId, observed, found: null });
}

function steps(agent: TestAgent): readonly string[] {
  return agent.effects.flatMap((effect) =>
    effect.kind === "execute_local" && effect.action.datasetId === rescued.datasetId
      ? [effect.action.kind]
      : [],
  );
}

test("what diverged is rescued once it was put aside, and nothing older before", () => {
  const agent = new TestAgent();
  agent.connect([lost, rescued]);
  see(agent, rescued, { kind: "absent" });
  expect(steps(agent)).toEqual([]);
  const text = agent.core.state.local(rescued.datasetId).condition?.message;
  expect(text).toMatch(/waits until the copy of db .* here was put aside/);

  see(agent, lost, { kind: "held", holders: [] });
  agent.nowMs += 60_000;
  agent.tick();
  see(agent, rescued, { kind: "absent" });
  expect(steps(agent)).toEqual([]);

  see(agent, lost, { kind: "diverged", identity });
  agent.nowMs += 60_000;
  agent.tick();
  see(agent, rescued, { kind: "absent" });
  expect(steps(agent)).toEqual(["create_live"]);
});
