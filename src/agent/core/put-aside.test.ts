import { expect, test } from "vitest";
import { freshLocal, nodes } from "../../domain/record-samples.ts";
import type { DatasetRecord } from "../../domain/record.ts";
import { assert } from "../../lib/assert.ts";
import { identityOf } from "../../planner/test-decision.ts";
import { clusterId, TestAgent } from "./test-agent.ts";

const [node, other] = nodes;
/** A move to this node, as it was told before its target was made live. */
const moving: DatasetRecord = {
  ...freshLocal,
  generation: 3,
  copies: [
    { node: other, role: "live", generation: 2, sinceMs: 1, settled: true, discarding: false },
  ],
  move: {
    id: freshLocal.lineage,
    source: other,
    target: node,
    phase: "sealed",
    generation: 3,
    openedAtMs: 1,
  },
};

function seeLive(agent: TestAgent): readonly string[] {
  const before = agent.effects.length;
  agent.step({
    kind: "observed_local",
    datasetId: moving.datasetId,
    observed: { kind: "live", identity: { ...identityOf(4), clusterId } },
    found: null,
  });
  return agent.effects
    .slice(before)
    .flatMap((effect) => (effect.kind === "execute_local" ? [effect.action.kind] : []));
}

test("what is live here is put aside on the word of a live session alone", () => {
  const agent = new TestAgent();
  agent.connect([moving]);
  agent.step({ kind: "disconnected" });
  expect(seeLive(agent)).toEqual([]);
  const text = agent.core.state.local(moving.datasetId).condition?.message;
  expect(text).toMatch(/db .* here waits for the control service/);

  agent.connect([moving]);
  expect(seeLive(agent)).toEqual(["diverge_live"]);
  const { running } = agent.core.state.local(moving.datasetId);
  assert(running !== null, "the step is under way");
  expect(agent.core.state.standsLocal(running)).toBe(true);
  agent.step({ kind: "disconnected" });
  expect(agent.core.state.standsLocal(running)).toBe(false);
});
