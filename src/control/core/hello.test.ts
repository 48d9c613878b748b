import { expect, test } from "vitest";
import { parseBootId, parseClusterId, parseNodeId } from "../../domain/ids.ts";
import type { Hello } from "../../protocol/agent-messages.ts";
import type { ControlCore } from "./control-core.ts";
import { coreOf, helloOf, uuid } from "./test-core.ts";

const node = parseNodeId(uuid(11));

/** A node of this boot that acknowledged all of the store's history but its hello's. */
function acknowledged(): { readonly core: ControlCore; readonly hello: Hello } {
  const core = coreOf();
  const hello = helloOf(node, 20);
  core.receive("a1", hello, 1);
  core.create(
    {
      datasetId: null,
      primary: node,
      metadata: {},
      maximumSizeBytes: null,
      pool: null,
      fileSystem: null,
      reclaim: null,
    },
    2,
  );
  core.receive("a1", { kind: "ack", revision: core.state.revision }, 3);
  core.drain();
  return { core, hello: { ...hello, seen: { ...core.state.point(), revision: 0 } } };
}

const probes = (core: ControlCore): readonly string[] =>
  core.drain().outputs.flatMap((output) => (output.kind === "probe" ? [output.connection] : []));
const conditionOf = (core: ControlCore): string | null =>
  core.state.sessionOf(node)?.condition?.code ?? null;

test("a late hello on a connection that its agent gave up sets no node back", () => {
  const { core, hello } = acknowledged();
  core.receive("a0", hello, 4);
  expect(probes(core)).toEqual(["a1"]);
  core.probed("a1", true, 5);
  expect(probes(core)).toEqual(["a0"]);

  core.probed("a0", false, 6);
  expect(core.state.currentOf.get(node)).toBe("a1");
  expect(conditionOf(core)).toBeNull();
});

test("a late hello of an earlier boot ends no claim of the present one", () => {
  const { core, hello } = acknowledged();
  const rebooted = { ...hello, bootId: parseBootId(uuid(21)), instance: uuid(22) };
  core.disconnected("a1", 4);
  core.receive("a2", rebooted, 5);
  const claims = (): readonly unknown[] => [...core.state.records.values()].map((one) => one.claim);
  const before = claims();

  core.receive("a0", hello, 6);
  core.probed("a2", false, 7);
  core.probed("a0", false, 8);
  expect(claims()).toEqual(before);
});

test("a sign of life from before the reboot takes nothing from the boot that spoke since", () => {
  const { core, hello } = acknowledged();
  core.disconnected("a1", 4);
  core.receive("a0", hello, 5);
  expect(probes(core)).toEqual(["a0"]);
  const rebooted = { ...hello, bootId: parseBootId(uuid(21)), instance: uuid(22) };
  core.receive("a2", rebooted, 6);
  const claims = (): readonly unknown[] => [...core.state.records.values()].map((one) => one.claim);
  const before = claims();

  core.probed("a0", true, 7);
  core.probed("a2", true, 8);
  core.probed("a0", false, 9);
  expect(core.state.currentOf.get(node)).toBe("a2");
  expect(claims()).toEqual(before);
});

test("a sign of life from before the reboot does not do where that boot has gone again", () => {
  const { core, hello } = acknowledged();
  core.disconnected("a1", 4);
  core.receive("a0", hello, 5);
  const rebooted = { ...hello, bootId: parseBootId(uuid(21)), instance: uuid(22) };
  core.receive("a2", rebooted, 6);
  core.disconnected("a2", 7);
  core.drain();

  core.probed("a0", true, 8);
  expect(probes(core)).toEqual(["a0"]);
  core.probed("a0", false, 9);
  core.receive("a3", rebooted, 10);
  expect(conditionOf(core)).toBeNull();
});

test("a machine that speaks, and is behind what it acknowledged, was set back", () => {
  const { core, hello } = acknowledged();
  core.receive("a0", hello, 4);
  core.probed("a1", false, 5);
  core.probed("a0", true, 6);
  expect(core.state.currentOf.get(node)).toBe("a0");
  expect(conditionOf(core)).toBe("NODE_WENT_BACK");
});

test("an agent whose files were moved away is not taken for a machine that was set back", () => {
  const { core, hello } = acknowledged();
  core.receive("a0", { ...hello, seen: null }, 4);
  core.probed("a1", false, 5);
  expect(core.state.currentOf.get(node)).toBe("a0");
  expect(conditionOf(core)).toBeNull();
});

test("a node that was served by a later start than the store knows sets the store in doubt, not itself", () => {
  const { core, hello } = acknowledged();
  const later = { ...core.state.point(), term: 2, instance: uuid(4), revision: 0 };
  core.receive("a0", { ...hello, seen: later }, 4);
  core.probed("a1", false, 5);
  expect(core.state.currentOf.get(node)).toBe("a0");
  expect(core.state.mode).toMatchObject({ code: "STORE_WENT_BACK" });
  expect(conditionOf(core)).toBeNull();
});

test("an agent of another cluster is told whose it is, and both ways out", () => {
  const core = coreOf();
  const other = parseClusterId(uuid(2));
  core.receive("a1", { ...helloOf(node, 20), clusterId: other }, 1);
  const { outputs } = core.drain();
  const text = outputs.flatMap((output) =>
    output.kind === "send" && output.message.kind === "refused" ? [output.message.message] : [],
  );
  expect(text).toEqual([expect.stringMatching(`${other}.*agent.yml.*flocker-ca`)]);
});

test("a clone that has its original's memory too is found as soon as both speak", () => {
  const { core, hello } = acknowledged();
  const seen = { ...core.state.point() };
  core.receive("clone", { ...hello, seen }, 4);
  expect(probes(core)).toEqual(["a1"]);
  core.probed("a1", true, 5);
  expect(probes(core)).toEqual(["clone"]);
  core.probed("clone", true, 6);

  expect(conditionOf(core)).toBe("NODE_ID_CLASH");
  expect(core.state.currentOf.get(node)).toBe("a1");
});

test("an agent that dials again is admitted once its old connection gives no sign of life", () => {
  const { core, hello } = acknowledged();
  const seen = { ...core.state.point() };
  core.receive("a2", { ...hello, seen }, 4);
  core.probed("a1", false, 5);

  expect(core.state.currentOf.get(node)).toBe("a2");
  expect(conditionOf(core)).toBeNull();
});

test("an agent that was served by another store meanwhile is not taken for one that was set back", () => {
  const { core, hello } = acknowledged();
  const { storeId, clusterId, starts, revision, nodes } = core.state;
  const recovering = coreOf({
    storeId,
    clusterId,
    starts,
    revision,
    nodes: [...nodes.values()],
    recovering: true,
    everRecovered: true,
  });
  const seen = { ...recovering.state.point(), storeId: uuid(90), term: 1, revision: 0 };
  recovering.receive("a1", { ...hello, seen }, 1);
  expect(probes(recovering)).toEqual([]);
  expect(conditionOf(recovering)).toBeNull();
});

test("a machine that was set back with its disks is well again from its next boot on", () => {
  const { core, hello } = acknowledged();
  core.disconnected("a1", 4);
  core.receive("a2", hello, 5);
  core.probed("a2", true, 6);
  expect(conditionOf(core)).toBe("NODE_WENT_BACK");
  core.disconnected("a2", 7);

  const rebooted = { ...hello, bootId: parseBootId(uuid(21)), instance: uuid(22) };
  core.receive("a3", rebooted, 8);
  core.disconnected("a3", 9);
  core.receive("a4", rebooted, 10);
  expect(conditionOf(core)).toBeNull();
});

test("a settled clash does not make a machine well that was set back", () => {
  const { core, hello } = acknowledged();
  core.disconnected("a1", 4);
  core.receive("a2", hello, 5);
  core.probed("a2", true, 6);
  core.receive("x", { ...hello, fingerprint: "another", instance: uuid(23) }, 7);
  expect(conditionOf(core)).toBe("NODE_ID_CLASH");

  core.replaceNode(node, 8);
  expect(conditionOf(core)).toBe("NODE_WENT_BACK");
});
