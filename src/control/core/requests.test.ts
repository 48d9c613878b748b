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

test("a doubted store denies no name and removes none", () => {
  const core = coreOf();
  core.receive("a1", helloOf(node, 20), 1);
  core.state.mode = { kind: "read_only", code: "STORE_WENT_BACK", message: "It went back." };
  core.drain();
  const lookup = { kind: "lookup", name: "db" } as const;
  const remove = { kind: "remove", name: "db", datasetId: null } as const;
  core.receive("a1", { kind: "request", id: 1, request: lookup }, 2);
  core.receive("a1", { kind: "request", id: 2, request: remove }, 3);
  const answers = core.drain().outputs.flatMap((output) => {
    const isAnswer = output.kind === "send" && output.message.kind === "answer";
    return isAnswer && output.message.kind === "answer" ? [output.message.answer] : [];
  });
  const readOnly = { kind: "error", code: "READ_ONLY" };
  expect(answers).toMatchObject([readOnly, readOnly]);
});
