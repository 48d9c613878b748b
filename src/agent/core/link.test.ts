import { expect, test } from "vitest";
import { parseDatasetId, parseNodeId, parseVolumeRef } from "../../domain/ids.ts";
import type { Action } from "../../planner/action.ts";
import type { Mode } from "../../protocol/agent-messages.ts";
import { AgentState } from "./agent-state.ts";
import { helloOf } from "./link.ts";
import { heldRecord, TestAgent, volumeName } from "./test-agent.ts";

const { datasetId, pool } = heldRecord;
const hide: Action = { kind: "hide_volume", datasetId, pool, generation: 1 };

test("a hello names the claim that is used without asking again, until it is said back", () => {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  const claims = (): readonly (number | null)[] =>
    helloOf(agent.core.state).holdings.map(({ claim }) => claim);
  expect(claims()).toEqual([1]);
  agent.core.state.local(datasetId).releaseAsked = 1;
  expect(claims()).toEqual([null]);
});

/** How often an idle holder gives back what somebody else wants. */
function asksToRelease(mode: Mode): number {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  agent.see("shown");
  agent.receive({ kind: "mode", mode, condition: null });
  agent.see("shown");
  const wanted = { record: heldRecord, wantedBy: heldRecord.primary, peer: null };
  agent.receive({ kind: "records", revision: 2, all: true, entries: [wanted], removed: [] });
  agent.see("shown");
  agent.tick();
  return agent.effects.filter(
    (effect) => effect.kind === "send" && effect.message.kind === "release_begun",
  ).length;
}

test("nothing is given back to a control service that may not record it", () => {
  expect(asksToRelease({ kind: "normal" })).toBe(1);
  const message = "The store went back.";
  expect(asksToRelease({ kind: "read_only", code: "STORE_WENT_BACK", message })).toBe(0);
});

test("a superseded node cuts at once, whatever is in flight", () => {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  expect(agent.core.state.local(datasetId).phase).toBe("observing");

  const superseded = { ...heldRecord, claim: null, superseded: [heldRecord.primary] };
  agent.connect([superseded]);

  expect(agent.effects).toContainEqual({ kind: "cut", datasetId });
});

test("no Mount is answered with what is being taken down, though the claim came back meanwhile", () => {
  const agent = new TestAgent();
  const { claim } = heldRecord;
  const releasing = claim === null ? null : ({ ...claim, phase: "releasing" } as const);
  agent.connect([{ ...heldRecord, claim: releasing }]);
  agent.see("shown");
  const steps = agent.effects.flatMap((one) => (one.kind === "execute" ? [one.action.kind] : []));
  expect(steps).toEqual(["hide_volume"]);

  agent.connect([heldRecord]); // A store that was set back.
  agent.mount(1, "m1");
  expect(agent.users()).toEqual([]);
  agent.step({ kind: "executed", action: hide, outcome: { kind: "ok" } });
  agent.see("shown");
  expect(agent.users()).toEqual(["m1"]);
});

test("a claim on what is attached to a node without one is given back, once nothing is in flight", () => {
  const agent = new TestAgent();
  const other = parseNodeId("00000000-0000-4000-8000-0000000000ff");
  const ref = parseVolumeRef("v1");
  const sizeBytes = 1 << 30;
  const record = { ...heldRecord, volume: { kind: "exists", ref, sizeBytes } } as const;
  const volume = { ref, datasetId, op: record.lineage, sizeBytes, attachedTo: null };
  const observed = { kind: "elsewhere", volume, node: other } as const;
  const given = (): number =>
    agent.effects.filter((one) => one.kind === "send" && one.message.kind === "attached_elsewhere")
      .length;
  agent.connect([record]);
  agent.core.state.local(datasetId).unsettledUntilMs = 1;
  agent.step({ kind: "observed", datasetId, observed });
  agent.nowMs = 1;
  agent.step({ kind: "observed", datasetId, observed });
  expect(given()).toBe(0); // A node that nobody knows would never clean up.

  agent.core.state.nodes.add(other);
  agent.step({ kind: "observed", datasetId, observed });
  agent.step({ kind: "observed", datasetId, observed });
  expect(given()).toBe(1);
  agent.mount(1, "m1");
  agent.see("shown");
  expect(agent.users()).toEqual([]);
});

test("a hello names every node that the agent, or the process before it, was ever told of", () => {
  const agent = new TestAgent();
  const other = parseNodeId("00000000-0000-4000-8000-0000000000ff");
  agent.connect([heldRecord]);
  agent.receive({ kind: "nodes", nodes: [other] });
  expect(helloOf(agent.core.state).nodes).toEqual([other]);

  const files = agent.effects.flatMap((one) => (one.kind === "persist_cluster" ? [one.file] : []));
  const next = new AgentState({ ...agent.core.state.options, cluster: files.at(-1) ?? null });
  expect(helloOf(next).nodes).toEqual([other]);
});

test("a hello calls mounted what a child of an earlier process still works on under our claim", () => {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  const isMounted = (): readonly boolean[] =>
    helloOf(agent.core.state).holdings.map(({ mounted }) => mounted);
  const look = { kind: "unknown", reason: "a child that was given up" } as const;
  agent.step({ kind: "observed", datasetId, observed: { ...look, busy: true } });
  expect(isMounted()).toEqual([true]);
  agent.step({ kind: "observed", datasetId, observed: { ...look, busy: false } });
  expect(isMounted()).toEqual([false]);
});

test("an Unmount ends its user though the name is another dataset's by now", () => {
  const agent = new TestAgent();
  agent.connect([heldRecord]);
  agent.see("shown");
  agent.mount(1, "m1");
  expect(agent.users()).toEqual(["m1"]);
  const names = [{ name: volumeName, datasetId: parseDatasetId(heldRecord.lineage) }];
  agent.receive({ kind: "names", revision: 2, all: true, entries: names, removed: [] });

  agent.step({ kind: "called", callId: 2, call: { kind: "unmount", name: volumeName, id: "m1" } });

  expect(agent.users()).toEqual([]);
});
