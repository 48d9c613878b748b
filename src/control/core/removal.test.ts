import { expect, test } from "vitest";
import type { NodeId } from "../../domain/ids.ts";
import type { Answer } from "../../protocol/agent-messages.ts";
import { a, b, c, LocalBed } from "./test-core.ts";

const stopped = { id: "c1", name: "web", running: false, volumes: ["db"] };

/** The dataset `db`, held idle by node `a`. */
function idle(reclaim: "trash" | "delete" = "trash"): LocalBed {
  const bed = new LocalBed().heldByA({ reclaim });
  bed.observe(a, { shown: true });
  return bed;
}

let requests = 0;

/** What `docker volume rm` of an engine on `node` is answered. */
function remove(bed: LocalBed, node: NodeId, name = "db"): Answer | null {
  requests += 1;
  const request = { kind: "remove", name, datasetId: null } as const;
  bed.say(node, { kind: "request", id: requests, request });
  const answers = bed.batches
    .flatMap(({ outputs }) => outputs)
    .flatMap((output) => (output.kind === "send" ? [output.message] : []))
    .flatMap((message) => (message.kind === "answer" && message.id === requests ? [message] : []));
  return answers[0]?.answer ?? null;
}

const refusal = (bed: LocalBed, node: NodeId): string => {
  const answer = remove(bed, node);
  return answer?.kind === "error" ? `${answer.code} ${answer.message}` : "removed";
};

test("a volume that nobody uses or names is removed from any node", () => {
  expect(refusal(idle(), b)).toBe("removed");
});

test("a volume that another node uses is not removed, nor one whose holder is silent", () => {
  const bed = idle();
  bed.observe(a, { shown: true, users: [{ id: "m1", container: null }] });
  expect(refusal(bed, b)).toMatch(
    /^DATASET_IN_USE Volume db is in use on node 0+-0000-4000-8000-0+11/,
  );

  const silent = idle();
  silent.disconnect(a);
  expect(refusal(silent, b)).toMatch(/DATASET_IN_USE .*is not connected.*declare-dead/);
});

test("a volume that a stopped container on another node names is not removed", () => {
  const bed = idle();
  bed.say(c, { kind: "containers", containers: [stopped] });
  expect(refusal(bed, b)).toMatch(
    /container web \(stopped\) on node 0+-0000-4000-8000-0+13 \(10\.0\.0\.1\).*docker rm web/,
  );

  bed.say(c, { kind: "containers", containers: [] });
  expect(refusal(bed, b)).toBe("removed");
});

test("the engine that asks has looked at its own containers", () => {
  const bed = idle();
  bed.say(b, { kind: "containers", containers: [stopped] });
  expect(refusal(bed, b)).toBe("removed");
});

test("what a node had when it was last heard counts while it is away, and after it is back", () => {
  const bed = idle();
  bed.say(c, { kind: "containers", containers: [stopped] });
  bed.disconnect(c);
  expect(refusal(bed, b)).toMatch(/container web.*not connected.*flockerctl node declare-dead/);

  bed.hello(c);
  expect(refusal(bed, b)).toMatch(/container web/);

  bed.disconnect(c);
  bed.declareDead(c);
  expect(refusal(bed, b)).toBe("removed");
});

test("what cannot be undone waits for nodes that were not heard since the start", () => {
  const before = idle("delete");
  const restarted = new LocalBed({
    records: [before.record],
    nodes: [...before.core.state.nodes.values()],
    revision: before.core.state.revision,
  });
  restarted.observe(a, { shown: true });
  restarted.disconnect(c);
  expect(refusal(restarted, b)).toMatch(
    /DATASET_IN_USE .*node 0+-0000-4000-8000-0+13 .*not connected/,
  );
  restarted.hello(c);
  restarted.say(c, { kind: "containers", containers: [] });
  restarted.disconnect(c);
  expect(refusal(restarted, b)).toBe("removed");
});
