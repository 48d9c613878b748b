import { expect, test } from "vitest";
import type { Claim, DatasetRecord } from "../../domain/record.ts";
import { observation } from "./dataset-loop.ts";
import { heldRecord, TestAgent } from "./test-agent.ts";

const { datasetId } = heldRecord;

function claimed(phase: Claim["phase"]): DatasetRecord {
  const { claim } = heldRecord;
  return { ...heldRecord, claim: claim === null ? null : { ...claim, phase } };
}

/** A holder with a user, while somebody else waits for the dataset. */
function waitedFor(phase: Claim["phase"]): TestAgent {
  const agent = new TestAgent();
  agent.connect([claimed(phase)]);
  agent.see("shown", 1);
  const entry = { record: claimed(phase), wantedBy: heldRecord.primary, peer: null };
  agent.receive({ kind: "records", revision: 2, all: true, entries: [entry], removed: [] });
  agent.see("shown", 1);
  return agent;
}

/** When it looks for its holders next, after it found the same ones again and again. */
function nextLookMs(agent: TestAgent): number {
  for (let looks = 0; looks < 10; looks += 1) {
    agent.nowMs += 20_000;
    agent.tick();
    agent.see("shown", 1);
  }
  const foundAtMs = agent.nowMs;
  const { effects } = agent;
  effects.length = 0;
  while (!effects.some(({ kind }) => kind === "observe")) {
    agent.nowMs += 100;
    agent.tick();
  }
  return agent.nowMs - foundAtMs;
}

test("who holds what others wait for is looked at within 2 s, however long it takes", () => {
  expect(nextLookMs(waitedFor("taken"))).toBeLessThan(2_000);
  expect(nextLookMs(waitedFor("releasing"))).toBeLessThan(2_000);
});

test("nobody is said to hold it any more while what follows is carried out", () => {
  const agent = waitedFor("releasing");
  const local = agent.core.state.local(datasetId);
  expect(observation(agent.core.state, local).condition?.code).toBe("HELD");

  agent.nowMs += 2_000;
  agent.tick();
  agent.see("shown");
  expect(local.phase).toBe("executing");
  expect(observation(agent.core.state, local).condition).toBe(null);
});
