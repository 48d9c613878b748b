import { expect, test } from "vitest";
import type { ContainerSeen } from "./effects.ts";
import { heldRecord, TestAgent, volumeName } from "./test-agent.ts";

const waiting: ContainerSeen = {
  id: "c1",
  name: "web",
  state: "ended",
  volumes: [volumeName],
  waits: true,
};

/** The containers that the agent asked the engine to start, since it was last asked. */
function started(agent: TestAgent): readonly string[] {
  const ids = agent.effects.flatMap((effect) =>
    effect.kind === "start_container" ? [effect.containerId] : [],
  );
  agent.effects.length = 0;
  return ids;
}

function outcome(agent: TestAgent, kind: "started" | "not_waiting" | "failed"): void {
  const reason = kind === "failed" ? "no" : null;
  agent.step({ kind: "start_ended", containerId: "c1", outcome: { kind, reason } });
}

/** Ticks once a second for a while, with a fresh list of the engine each time. */
function pass(agent: TestAgent, spanMs: number, containers: readonly ContainerSeen[]): void {
  const untilMs = agent.nowMs + spanMs;
  while (agent.nowMs < untilMs) {
    agent.nowMs += 1_000;
    agent.engine(containers);
    agent.tick();
  }
}

function claimed(): TestAgent {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  agent.see("shown");
  return agent;
}

test("a container whose Mount failed is started once its volume is shown under a claim", () => {
  const agent = new TestAgent();
  agent.connect([]);
  pass(agent, 60_000, [waiting]);
  expect(started(agent)).toEqual([]);

  const entries = [{ record: heldRecord, wantedBy: null, peer: null }];
  agent.receive({ kind: "records", revision: 2, all: false, entries, removed: [] });
  pass(agent, 5_000, [waiting]);
  expect(started(agent)).toEqual([]);

  agent.see("shown");
  pass(agent, 1_000, [waiting]);
  expect(started(agent)).toEqual(["c1"]);
});

test("a container that does not wait for a Mount is not started", () => {
  const agent = claimed();
  pass(agent, 60_000, [{ ...waiting, waits: false }]);
  expect(started(agent)).toEqual([]);
});

test("a container with another volume waits for that one too", () => {
  const agent = claimed();
  pass(agent, 60_000, [{ ...waiting, volumes: [volumeName, "other"] }]);
  expect(started(agent)).toEqual([]);
});

test("one start is under way at a time, and tries end after five, further and further apart", () => {
  const agent = claimed();
  pass(agent, 60_000, [waiting]);
  expect(started(agent)).toEqual(["c1"]);

  const instants: number[] = [];
  outcome(agent, "failed");
  for (let second = 0; second < 3_600; second += 1) {
    pass(agent, 1_000, [waiting]);
    if (started(agent).length === 0) continue;
    instants.push(agent.nowMs);
    outcome(agent, "failed");
  }
  expect(instants.length).toBe(4);
  const gaps = instants.map((at, index) => at - (instants[index - 1] ?? 60_000));
  expect(gaps.toSorted((one, two) => one - two)).toEqual(gaps);
});

test("a container that ran meanwhile has all its tries again", () => {
  const agent = claimed();
  for (let round = 0; round < 20; round += 1) {
    pass(agent, 1_000, [waiting]);
    expect(started(agent)).toEqual(["c1"]);
    outcome(agent, "started");
    pass(agent, 1_000, [{ ...waiting, state: "running", waits: false }]);
  }
});

test("what waits for longer than a day is left to a person", () => {
  const agent = new TestAgent();
  agent.connect([]);
  pass(agent, 1_000, [waiting]);
  agent.nowMs += 86_400_000;
  const entries = [{ record: heldRecord, wantedBy: null, peer: null }];
  agent.receive({ kind: "records", revision: 2, all: false, entries, removed: [] });
  agent.see("shown");
  pass(agent, 60_000, [waiting]);
  expect(started(agent)).toEqual([]);
});

test("what was started is told to the control service, for people", () => {
  const agent = claimed();
  pass(agent, 1_000, [waiting]);
  outcome(agent, "started");
  const told = agent.effects.flatMap((effect) => (effect.kind === "send" ? [effect.message] : []));
  expect(told).toContainEqual({
    kind: "container_started",
    id: "c1",
    name: "web",
    volumes: ["db"],
  });
});
