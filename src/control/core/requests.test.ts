import { expect, test } from "vitest";
import { type DatasetId, parseNodeId } from "../../domain/ids.ts";
import type { CreateOptions } from "../../protocol/agent-messages.ts";
import { coreOf, helloOf, uuid } from "./test-core.ts";

const node = parseNodeId(uuid(11));
const options: CreateOptions = {
  sizeBytes: null,
  pool: null,
  fileSystem: null,
  reclaim: "delete",
  profile: null,
};

test("a removal that is said again does not remove who has the name by then", () => {
  const core = coreOf();
  core.receive("a1", helloOf(node, 20), 1);
  const create = (id: number): DatasetId | undefined => {
    const request = { kind: "create", name: "db", options } as const;
    core.receive("a1", { kind: "request", id, request }, id);
    return core.state.names.get("db");
  };
  const first = create(2) ?? null;
  const request = { kind: "remove", name: "db", datasetId: first } as const;
  core.receive("a1", { kind: "request", id: 3, request }, 3);
  const second = create(4);
  expect(second).not.toBe(first);

  core.receive("a1", { kind: "request", id: 3, request }, 5);
  expect(core.state.names.get("db")).toBe(second);
});
