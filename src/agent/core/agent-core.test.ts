import { expect, test } from "vitest";
import { boots, fresh, nodes, refs } from "../../domain/record-samples.ts";
import type { Claim, DatasetRecord, Op } from "../../domain/record.ts";
import type { ObservedAttachable } from "../../planner/observed.ts";
import type { AgentCore } from "./agent-core.ts";
import type { AgentEffect, AgentEvent, RunFile } from "./effects.ts";
import { TestAgent, agentOf, heldRecord, volumeName } from "./test-agent.ts";

const { datasetId } = fresh;
const [era] = boots;

const at = { storeId: "store", term: 1, instance: "control", revision: 1 };
const welcome = { kind: "welcome", session: 1, at, mode: { kind: "normal" } } as const;

function claimed(phase: Claim["phase"]): DatasetRecord {
  const claim: Claim = { node: fresh.primary, era: era, generation: 1, phase, before: null };
  return { ...fresh, generation: 1, claim, volume: { kind: "creating", op: fresh.lineage } };
}

/** A next process in this boot, with what its predecessor left in the run file. */
function nextProcess(run: RunFile, unknownNames: "deny" | "hold" = "deny"): AgentCore {
  return agentOf({ unknownNames, run, mounted: [datasetId] });
}

/** An agent of this boot with a session, `users` from its predecessor, and this record. */
function agentWith(phase: Claim["phase"], users: readonly string[]) {
  const core = nextProcess({
    records: [],
    users: users.length === 0 ? [] : [[datasetId, users]],
    ended: [],
  });
  let nowMs = 0;
  const step = (event: AgentEvent): readonly AgentEffect[] => core.step(event, (nowMs += 1_000));
  const see = (observed: ObservedAttachable): readonly AgentEffect[] =>
    step({ kind: "observed", datasetId, observed });
  step({ kind: "connected" });
  step({ kind: "received", message: { ...welcome, condition: null, nodes: [] } });
  const entries = [{ record: claimed(phase), wantedBy: null, peer: null }];
  const message = { kind: "records", revision: 1, all: true, entries, removed: [] } as const;
  const effects = step({ kind: "received", message });
  return { step, see, effects };
}

const shown = { kind: "shown", holders: [] } as const;
const executed = (effects: readonly AgentEffect[]): readonly string[] =>
  effects.flatMap((effect) => (effect.kind === "execute" ? [effect.action.kind] : []));
const tokens = (effects: readonly AgentEffect[]): readonly number[] =>
  effects.flatMap((effect) => (effect.kind === "persist_run" ? [effect.token] : []));
const released = (effects: readonly AgentEffect[]): boolean =>
  effects.some((effect) => effect.kind === "send" && effect.message.kind === "report");

test("what a Mount was answered with stays until its Unmount, also when its release had begun", () => {
  const { step, see } = agentWith("releasing", ["user"]);
  expect(executed(see(shown))).toEqual([]);

  const name = "db";
  const names = { kind: "names", revision: 1, all: true, entries: [{ name, datasetId }] } as const;
  step({ kind: "received", message: { ...names, removed: [] } });
  step({ kind: "called", callId: 1, call: { kind: "unmount", name, id: "user" } });
  step({ kind: "tick" });
  expect(executed(see(shown))).toEqual(["hide_volume"]);
});

test("released is said only once the run file cannot give the claim to a next process", () => {
  const { step, see, effects } = agentWith("releasing", []);
  const first = see({ kind: "absent" });
  expect(released(first)).toBe(false);

  for (const token of [...tokens(effects), ...tokens(first)]) step({ kind: "persisted", token });
  step({ kind: "tick" });
  expect(released(see({ kind: "absent" }))).toBe(true);
});

test("each step has an id that every line of it bears", () => {
  const { see } = agentWith("taken", []);
  const effects = see({ kind: "mounted" });
  const ids = effects.flatMap((effect) => {
    if (effect.kind === "execute") return [effect.actionId];
    return effect.kind === "log" ? [effect.fields["actionId"]] : [];
  });
  expect(ids).toEqual(["instance-1", "instance-1"]);
});

test("a generation that was given back is never used again, whatever a record says", () => {
  const { step, see, effects } = agentWith("releasing", []);
  const first = see({ kind: "absent" });
  for (const token of [...tokens(effects), ...tokens(first)]) step({ kind: "persisted", token });

  const entries = [{ record: claimed("taken"), wantedBy: null, peer: null }];
  const message = { kind: "records", revision: 2, all: true, entries, removed: [] } as const;
  step({ kind: "received", message });
  expect(executed(see({ kind: "mounted" }))).toEqual([]);
});

test("a grant that the process before may have declined is unused until a session confirms it", () => {
  const record = claimed("granted");
  const before = { primary: fresh.primary, orderedAtMs: 0 };
  const wished = record.claim === null ? record : { ...record, claim: { ...record.claim, before } };
  const core = nextProcess({
    records: [{ record: wished, wantedBy: null, peer: null }],
    users: [],
    ended: [],
  });
  let nowMs = 0;
  const step = (event: AgentEvent): readonly AgentEffect[] => core.step(event, (nowMs += 5_000));
  const absent = { kind: "observed", datasetId, observed: { kind: "absent" } } as const;
  step({ kind: "tick" });
  expect(executed(step(absent))).toEqual([]);

  step({ kind: "connected" });
  step({ kind: "received", message: { ...welcome, condition: null, nodes: [] } });
  const message = { kind: "records", revision: 1, all: false, entries: [], removed: [] } as const;
  step({ kind: "received", message });
  expect(executed(step(absent))).toEqual(["create_volume"]);
});

/** An agent that is to take the dataset's attachment from another node. */
function executorOfOp() {
  const { step } = agentWith("taken", []);
  const [, target] = nodes;
  const executor = { node: fresh.primary, era, session: 1 };
  const kind = "force_detach";
  const op: Op = { id: fresh.lineage, kind, target, executor, vanishedAtMs: null };
  const [ref] = refs;
  const record: DatasetRecord = { ...fresh, volume: { kind: "exists", ref, sizeBytes: 1 }, op };
  const entries = [{ record, wantedBy: null, peer: null }];
  const message = { kind: "records", revision: 2, all: true, entries, removed: [] } as const;
  const effects = [...step({ kind: "received", message }), ...step({ kind: "tick" })];
  const persisted = (token: number): readonly AgentEffect[] => step({ kind: "persisted", token });
  for (const token of [1, 2, 3, 4, ...tokens(effects)]) persisted(token);
  const volume = { ref, datasetId, op: fresh.lineage, sizeBytes: 1, attachedTo: null };
  const see = (observed: ObservedAttachable): readonly AgentEffect[] =>
    step({ kind: "observed", datasetId, observed });
  const elsewhere = { kind: "elsewhere", volume, node: target } as const;
  const detached = { kind: "detached", volume } as const;
  // The look that was under way when the order came.
  see({ kind: "shown", holders: [] });
  return { step, see, elsewhere, detached };
}

test("an op that was reported as done is not carried out again, whatever is seen", () => {
  const { step, see, elsewhere, detached } = executorOfOp();
  expect(released(see(detached))).toBe(true);

  // It was closed, and the dataset granted anew; this node has not heard of that yet.
  for (let ticks = 0; ticks < 3; ticks += 1) step({ kind: "tick" });
  const effects = see(elsewhere);
  expect(executed(effects)).toEqual([]);
  expect(released(effects)).toBe(true);
});

test("an op is carried out only within a session", () => {
  const { step, see, elsewhere } = executorOfOp();
  step({ kind: "disconnected" });
  expect(executed(see(elsewhere))).toEqual([]);
});

test("an op is carried out by the node that was asked", () => {
  const { see, elsewhere } = executorOfOp();
  expect(executed(see(elsewhere))).toEqual(["force_detach"]);
});

test("with unknown_names: hold a name is not denied because nobody answered in time", () => {
  const core = nextProcess({ records: [], users: [], ended: [] }, "hold");
  core.step({ kind: "connected" }, 1);
  core.step({ kind: "received", message: { ...welcome, condition: null, nodes: [] } }, 2);
  core.step({ kind: "called", callId: 1, call: { kind: "get", name: "db" } }, 3);
  const effects = core.step({ kind: "tick" }, 60_000);
  const status = { phase: "unknown" };
  const volume = { name: "db", mountpoint: "", createdAtMs: null, status };
  const answer = { kind: "answer", callId: 1, answer: { kind: "volume", volume } };
  expect(effects.filter(({ kind }) => kind === "answer")).toEqual([answer]);
});

test("a known name is answered from memory, without any request", () => {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  const askOften = (): readonly unknown[] => {
    agent.effects.length = 0;
    for (let callId = 1; callId <= 1_000; callId += 1) {
      agent.step({ kind: "called", callId, call: { kind: "get", name: volumeName } });
    }
    return agent.effects.map((effect) => effect.kind === "answer" && effect.answer.kind);
  };
  const answers = Array.from({ length: 1_000 }, () => "volume");

  expect(askOften()).toEqual(answers);
  agent.step({ kind: "disconnected" });
  expect(askOften()).toEqual(answers);
  expect(agent.core.state.requests.size).toBe(0); // None waits for the next session either.
});

test("a volume was created when its record says, where that is known", () => {
  const agent = new TestAgent();
  const createdAtMs = Date.UTC(2026, 0, 2);
  agent.connect([{ ...heldRecord, createdAtMs }]);
  agent.effects.length = 0;
  agent.step({ kind: "called", callId: 1, call: { kind: "get", name: volumeName } });
  expect(agent.effects).toMatchObject([{ answer: { volume: { createdAtMs } } }]);
});

test("local volumes of the engine that hide a dataset are told, whichever came first", () => {
  const agent = new TestAgent();
  const told = (): readonly unknown[] => {
    const all = agent.effects.flatMap((effect) => (effect.kind === "send" ? [effect.message] : []));
    agent.effects.length = 0;
    return all.filter(({ kind }) => kind === "local_volumes");
  };
  agent.engine([], ["cache", "db"]);
  agent.connect([]);
  expect(told()).toContainEqual({ kind: "local_volumes", names: ["db"] });

  agent.engine([], ["cache", "db"]);
  expect(told()).toEqual([]);

  const entries = [{ name: "cache", datasetId }];
  agent.receive({ kind: "names", revision: 2, all: false, entries, removed: [] });
  expect(told()).toEqual([{ kind: "local_volumes", names: ["cache", "db"] }]);

  agent.engine([], []);
  expect(told()).toEqual([{ kind: "local_volumes", names: [] }]);
});

test("the status of a volume warns of a local one that hides it somewhere", () => {
  const agent = new TestAgent();
  agent.connect([]);
  const entries = [{ name: "db", message: "Node x has a local volume db." }];
  agent.receive({ kind: "shadows", entries });
  agent.step({ kind: "called", callId: 7, call: { kind: "get", name: "db" } });
  const answers = agent.effects.flatMap((effect) =>
    effect.kind === "answer" && effect.answer.kind === "volume" ? [effect.answer.volume] : [],
  );
  expect(answers[0]?.status["warning"]).toBe("Node x has a local volume db.");
});

test("what was seen of the store never goes back within one start of it, whatever comes last", () => {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  const names = { kind: "names", all: false, entries: [], removed: [] } as const;
  agent.receive({ ...names, revision: 5 });
  agent.receive({ ...names, revision: 4 });
  expect(agent.core.state.seen?.revision).toBe(5);
});
