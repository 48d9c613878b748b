import { expect, test } from "vitest";
import { fresh, freshLocal, nodes, ops } from "../../domain/record-samples.ts";
import type { DatasetRecord, Move } from "../../domain/record.ts";
import { TestAgent } from "./test-agent.ts";

const [here, there] = nodes;
const [id] = ops;
const { datasetId } = fresh;

function moving(phase: Move["phase"]): DatasetRecord {
  const move = { id, source: there, target: here, phase, generation: 0, openedAtMs: 1 };
  const copies = freshLocal.copies.map((live) => ({ ...live, node: there }));
  return { ...freshLocal, copies, move };
}

/** What a Mount says when its time is over; `record` was told to the agent before. */
function mountError(record: DatasetRecord, receiving: "with progress" | "without"): string {
  const agent = new TestAgent();
  agent.connect([]);
  const peer = { host: "10.0.0.2", port: 4525 };
  const entries = [{ record, wantedBy: null, peer }];
  agent.receive({ kind: "records", revision: 2, all: false, entries, removed: [] });
  agent.mount(1, "user");
  const look = { kind: "observed_local", datasetId, observed: { kind: "absent" } } as const;
  agent.step({ ...look, found: null }); // Begun before the Mount came: it is made anew.
  agent.step({ ...look, found: null });
  if (receiving === "with progress") {
    const bytes = 44 << 20;
    const progress = { stage: "base", bytes, totalBytes: 100 << 20, bytesPerSecond: 1 } as const;
    agent.step({ kind: "progressed", datasetId, progress });
  }
  agent.nowMs += 110_000;
  agent.tick();
  const answers = agent.effects.flatMap((effect) =>
    effect.kind === "answer" && effect.answer.kind === "error" ? [effect.answer.message] : [],
  );
  return answers.join();
}

test("a Mount that a move was too slow for says from where, and how far it is", () => {
  expect(mountError(moving("precopy"), "with progress")).toContain(
    `Volume db is being copied from node ${there}: 44 % (44 MiB) so far; trying again continues.`,
  );
  expect(mountError(moving("sealed"), "without")).toContain(
    `Volume db is on its way from node ${there}; trying again continues.`,
  );
});

test("a Mount whose move has not begun says on whose disks the volume is", () => {
  expect(mountError({ ...moving("precopy"), move: null }, "without")).toContain(
    `Volume db is on the disks of node ${there}; its move has not begun yet.`,
  );
});

test("a Mount that an open op holds up names it in people's words", () => {
  const op = { id, kind: "destroy", target: null, executor: null, vanishedAtMs: null } as const;
  const record = { ...freshLocal, op };
  expect(mountError(record, "without")).toContain("The destruction of volume db");
  const forced = { ...record, op: { ...op, kind: "force_detach", target: there } } as const;
  expect(mountError(forced, "without")).toContain(
    `The forced detach of volume db from node ${there} is not confirmed yet; trying again continues.`,
  );
});
