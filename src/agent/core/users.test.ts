import { describe, expect, test } from "vitest";

import { parseDatasetId } from "../../domain/ids.ts";
import type { ContainerSeen } from "./effects.ts";
import { heldRecord, TestAgent, volumeName } from "./test-agent.ts";

const container = (state: ContainerSeen["state"], ...volumes: string[]): ContainerSeen => ({
  id: "c1",
  name: "web",
  state,
  volumes: volumes.length === 0 ? [volumeName] : volumes,
  waits: false,
});

/** An agent that answered a Mount at 0. */
function mounted(): TestAgent {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  agent.see("shown");
  agent.mount(1, "user");
  expect(agent.users()).toEqual(["user"]);
  return agent;
}

const seenOnce = (nowMs: number): readonly ContainerSeen[] =>
  nowMs === 150_000 ? [container("running")] : [];

type World = {
  readonly containers: (atMs: number) => readonly ContainerSeen[];
  readonly holders?: (atMs: number) => number;
  readonly kind?: "shown" | "absent";
};

/** Lets time pass: a tick each second; engine and dataset are looked at each 30 s. */
function live(agent: TestAgent, untilMs: number, { containers, holders, kind }: World): void {
  while (agent.nowMs < untilMs) {
    agent.nowMs += 1_000;
    const { nowMs } = agent;
    if (nowMs % 30_000 === 0) {
      agent.engine(containers(nowMs));
      agent.see(kind ?? "shown", holders?.(nowMs) ?? 0);
    }
    agent.tick();
  }
}

/** When the user goes, in seconds; null when it is there after an hour. */
function droppedAfterS(agent: TestAgent, world: World): number | null {
  for (let nowMs = 1_000; nowMs <= 3_600_000; nowMs += 1_000) {
    live(agent, nowMs, world);
    if (agent.users().length === 0) return nowMs / 1_000;
  }
  return null;
}

describe("a user without an Unmount", () => {
  test("is held for 120 s and then ended by two looks that are 60 s apart", () => {
    expect(droppedAfterS(mounted(), { containers: () => [] })).toBe(180);
  });

  test("stays as long as the engine was not looked at anew", () => {
    const agent = mounted();
    agent.nowMs = 130_000;
    agent.engine([]);
    agent.see("shown");
    for (; agent.nowMs < 1_000_000; agent.nowMs += 1_000) agent.tick();
    expect(agent.users()).toEqual(["user"]);
  });

  test("stays as long as the dataset was not looked at anew", () => {
    const agent = mounted();
    agent.nowMs = 130_000;
    agent.see("shown");
    for (; agent.nowMs < 1_000_000; agent.nowMs += 1_000) {
      agent.engine([]);
      agent.tick();
    }
    expect(agent.users()).toEqual(["user"]);
  });

  test("asks for the second look itself when it is due", () => {
    const agent = mounted();
    agent.engine([]);
    for (const nowMs of [125_000, 190_000]) {
      agent.nowMs = nowMs;
      agent.effects.length = 0;
      agent.engine([]);
      agent.tick();
      agent.tick();
      expect(agent.effects.map(({ kind }) => kind)).toContain("observe");
      agent.see("shown");
      agent.tick();
    }
    expect(agent.users()).toEqual([]);
  });

  test.each(["running"] as const)("stays while its container is %s", (state) => {
    expect(droppedAfterS(mounted(), { containers: () => [container(state)] })).toBe(null);
  });

  test("stays while a process has the volume mounted, whatever the engine says", () => {
    expect(droppedAfterS(mounted(), { containers: () => [], holders: () => 1 })).toBe(null);
  });

  test("begins anew when it was seen between two looks", () => {
    expect(droppedAfterS(mounted(), { containers: seenOnce })).toBe(240);
  });

  test("is not kept for ever by a container whose start the engine's crash cut off", () => {
    const dropped = droppedAfterS(mounted(), { containers: () => [container("created")] });
    expect(dropped).toBeGreaterThanOrEqual(600);
    expect(dropped).toBeLessThanOrEqual(700);
  });

  test("is not kept by a container that ended", () => {
    expect(droppedAfterS(mounted(), { containers: () => [container("ended")] })).toBe(180);
  });

  test("is held anew when the engine mounts again under the same ID", () => {
    const agent = mounted();
    live(agent, 170_000, { containers: () => [] });
    agent.mount(2, "user");
    live(agent, 345_000, { containers: () => [] });
    expect(agent.users()).toEqual(["user"]);
    live(agent, 360_000, { containers: () => [] });
    expect(agent.users()).toEqual([]);
  });

  test("goes too where the volume is not any more", () => {
    expect(droppedAfterS(mounted(), { containers: () => [], kind: "absent" })).toBe(180);
  });

  test("stays while its container waits for another volume that it starts with", () => {
    const agent = mounted();
    const datasetId = parseDatasetId("dddddddd-0000-4000-8000-000000000002");
    const entries = [{ name: "other", datasetId }];
    agent.receive({ kind: "names", revision: 2, all: false, entries, removed: [] });
    let callId = 10;
    const containers = (): readonly ContainerSeen[] => {
      // Each Mount of the other volume runs out of time after 110 s; the engine has given up then.
      callId += 1;
      const call = { kind: "mount", name: "other", id: "other" } as const;
      if (agent.nowMs <= 300_000) agent.step({ kind: "called", callId, call });
      return [container("ended", volumeName, "other")];
    };
    expect(droppedAfterS(agent, { containers })).toBeGreaterThan(300 + 60);
  });
});

function removal(agent: TestAgent): readonly string[] {
  agent.effects.length = 0;
  agent.step({ kind: "called", callId: 9, call: { kind: "remove", name: volumeName } });
  return agent.effects.map((effect) =>
    effect.kind === "answer" ? effect.answer.kind : effect.kind,
  );
}

function looked(agent: TestAgent, containers: readonly ContainerSeen[], holders = 0): void {
  agent.nowMs += 1_000;
  agent.engine(containers);
  agent.see("shown", holders);
}

describe("a removal that the engine asks for", () => {
  test("is refused while somebody shows a user, or nobody has looked since the Mount", () => {
    expect(removal(mounted())).toEqual(["error"]);
    for (const state of ["running", "created"] as const) {
      const agent = mounted();
      looked(agent, [container(state)]);
      expect(removal(agent)).toEqual(["error"]);
    }
    const held = mounted();
    looked(held, [], 1);
    expect(removal(held)).toEqual(["error"]);
  });

  test("is asked for at once when an engine that was killed left its user; nothing is taken from it", () => {
    const agent = mounted();
    looked(agent, []);
    expect(removal(agent)).toEqual(["send"]);
    expect(agent.users()).toEqual(["user"]);
  });
});
