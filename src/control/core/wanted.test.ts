import { expect, test } from "vitest";
import { parseDatasetId, parseNodeId, type NodeId } from "../../domain/ids.ts";
import { ControlCore } from "./control-core.ts";
import type { CoreOutput } from "./state.ts";
import { clusterId, coreOf, helloOf, uuid } from "./test-core.ts";

const a = parseNodeId(uuid(11));
const b = parseNodeId(uuid(12));

/** Dataset held by `a`, ordered to `b`, whose session has just ended. */
function heldWhileWantedElsewhere(): { readonly core: ControlCore; readonly id: string } {
  const core = coreOf();
  core.receive("a1", helloOf(a, 20), 1);
  core.receive("b1", helloOf(b, 30), 2);
  const id = parseDatasetId(uuid(50));
  core.create(
    {
      datasetId: id,
      primary: a,
      metadata: {},
      maximumSizeBytes: null,
      pool: null,
      fileSystem: null,
      reclaim: null,
    },
    3,
  );
  core.order(id, b, 4);
  return { core, id };
}

function lastWantedBy(outputs: readonly CoreOutput[], connection: string): NodeId | null {
  let last: NodeId | null = null;
  for (const output of outputs) {
    if (output.kind !== "send" || output.connection !== connection) continue;
    if (output.message.kind !== "records") continue;
    for (const entry of output.message.entries) last = entry.wantedBy;
  }
  return last;
}

test("the holder is told who wants the dataset, and told again when that node comes back", () => {
  const { core } = heldWhileWantedElsewhere();
  expect(lastWantedBy(core.drain().outputs, "a1")).toBe(b);

  core.disconnected("b1", 5);
  expect(lastWantedBy(core.drain().outputs, "a1")).toBeNull();

  core.receive("b2", helloOf(b, 30), 6);
  expect(lastWantedBy(core.drain().outputs, "a1")).toBe(b);
});

test("after a restart the order counts in whatever sequence the nodes say hello", () => {
  const { core, id } = heldWhileWantedElsewhere();
  const held = core.state.records.get(parseDatasetId(id));
  const again = new ControlCore({
    contents: {
      storeId: uuid(2),
      clusterId,
      revision: core.state.revision,
      starts: [{ term: 2, instance: uuid(4), firstRevision: core.state.revision }],
      records: held === undefined ? [] : [held],
      nodes: [...core.state.nodes.values()],
      recovering: false,
      everRecovered: false,
      readOnly: null,
    },
    nowMs: 0,
    newId: () => uuid(900),
  });
  again.receive("a2", helloOf(a, 20), 1);
  again.receive("b2", helloOf(b, 30), 2);
  expect(lastWantedBy(again.drain().outputs, "a2")).toBe(b);
});
