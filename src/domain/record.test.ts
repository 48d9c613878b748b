import { describe, expect, test } from "vitest";
import { parseVolumeRef } from "./ids.ts";
import { type DatasetRecord, nameOf } from "./record.ts";
import type { RecordEvent, Speaker } from "./record-event.ts";
import { after, boots, fresh, nodes, ops, refusal } from "./record-samples.ts";
import { recordStep } from "./record-step.ts";

const a: Speaker = { node: nodes[0], era: boots[0], session: 1 };
const aLater: Speaker = { ...a, era: boots[1], session: 2 };
const b: Speaker = { node: nodes[1], era: boots[2], session: 3 };
const [op] = ops;

const grantTo = (to: Speaker): RecordEvent => ({
  kind: "granted",
  to,
  wishAtMs: null,
  createOp: op,
});
const released = (by: Speaker, generation: number): RecordEvent => ({
  kind: "released",
  by,
  generation,
});
const registered: RecordEvent = {
  kind: "volume_registered",
  by: a,
  op,
  ref: parseVolumeRef("v1"),
  sizeBytes: 1 << 30,
};
const held = after(fresh, grantTo(a), registered);

describe("claims", () => {
  test("each grant is a new generation, on the same node too", () => {
    const again = after(held, released(a, 1), grantTo(a));
    expect(again.claim).toEqual({
      node: a.node,
      era: a.era,
      generation: 2,
      phase: "granted",
      before: null,
    });
  });

  test("a dataset that is claimed is granted to nobody else", () => {
    expect(refusal(held, grantTo(b))).toBe("claimed");
  });

  test("a release of another generation, node or era does nothing", () => {
    expect(refusal(held, released(a, 7))).toBe("stale_generation");
    expect(refusal(held, released(b, 1))).toBe("not_the_holder");
    expect(refusal(held, released(aLater, 1))).toBe("not_the_holder");
  });

  test("releasing cannot be cancelled, only answered", () => {
    const releasing = after(held, { kind: "release_begun", by: a, generation: 1 });
    expect(refusal(releasing, { kind: "taken", by: a, generation: 1 })).toBe("already");
    expect(refusal(releasing, grantTo(a))).toBe("claimed");
    expect(after(releasing, released(a, 1)).claim).toBeNull();
  });

  test("a reboot ends the claim of the old era, and only that node is granted before it cleaned up", () => {
    const rebooted = after(held, { kind: "rebooted", node: a.node, era: aLater.era });
    expect(rebooted.claim).toBeNull();
    expect(refusal(rebooted, grantTo(b))).toBe("residue");
    expect(after(rebooted, grantTo(aLater)).claim?.generation).toBe(2);
    expect(after(rebooted, { kind: "residue_cleared", by: aLater }, grantTo(b)).claim?.node).toBe(
      b.node,
    );
  });

  test("the same boot id ends nothing", () => {
    expect(refusal(held, { kind: "rebooted", node: a.node, era: a.era })).toBe("already");
  });

  test("what a reboot left on the storage is cleaned up also after a grant to that node is declined", () => {
    const rebooted = after(held, { kind: "rebooted", node: a.node, era: aLater.era });
    const granted = after(rebooted, grantTo(aLater));
    const declined = after(granted, { kind: "declined", by: aLater, generation: 2 });
    expect(declined.residue).toBe(a.node);
    expect(refusal(declined, grantTo(b))).toBe("residue");

    const taken = after(granted, { kind: "taken", by: aLater, generation: 2 });
    expect(taken.residue).toBeNull();
    expect(after(granted, released(aLater, 2)).residue).toBeNull();
  });

  test("what the storage shows attached to a node without a claim is given back, and cleaned there", () => {
    const lost = after(held, released(a, 1), grantTo(b));
    const elsewhere = { kind: "attached_elsewhere", by: b, generation: 2, node: a.node } as const;
    expect(refusal(lost, { ...elsewhere, node: b.node })).toBe("already");
    expect(refusal(lost, { ...elsewhere, generation: 1 })).toBe("stale_generation");
    const given = after(lost, elsewhere);
    expect([given.claim, given.residue]).toEqual([null, a.node]);
    expect(refusal(given, grantTo(b))).toBe("residue");
    const dead = { kind: "overridden", node: a.node, op, atMs: 1 } as const;
    expect(after(given, dead).op).toMatchObject({ kind: "force_detach", target: a.node });
    const cleared = { kind: "residue_cleared", by: a } as const;
    expect(after(given, cleared, grantTo(b)).claim?.generation).toBe(3);
  });

  test("a wish that is granted sets primary; declined late, primary is restored", () => {
    const granted = after(fresh, { kind: "granted", to: b, wishAtMs: 9, createOp: op });
    expect(granted.primary).toBe(b.node);
    const declined = after(granted, {
      kind: "declined",
      by: b,
      generation: 1,
    });
    expect([declined.claim, declined.primary]).toEqual([null, a.node]);
  });
});

describe("a person's word", () => {
  const overridden = after(held, { kind: "overridden", node: a.node, op, atMs: 1 });

  test("opens the forced detach in the same commit, and nothing is granted while it is open", () => {
    expect(overridden.op?.kind).toBe("force_detach");
    expect(refusal(overridden, grantTo(b))).toBe("op_open");
    expect(refusal(overridden, grantTo(a))).toBe("op_open");
  });

  test("the superseded node gets no claim before it reported its cut or rebooted", () => {
    const closed = after(overridden, { kind: "op_closed", op, outcome: "done" });
    expect(refusal(closed, grantTo(a))).toBe("superseded");
    expect(after(closed, grantTo(b)).claim?.generation).toBe(2);
    expect(after(closed, { kind: "cut_reported", by: a }, grantTo(a)).claim?.node).toBe(a.node);
    expect(
      after(closed, { kind: "rebooted", node: a.node, era: aLater.era }, grantTo(aLater)).claim
        ?.node,
    ).toBe(a.node);
  });

  test("an op whose executor gave no definitive answer stays open", () => {
    const executor = { node: b.node, era: b.era, session: 3 };
    const back = after(
      overridden,
      { kind: "op_assigned", op, executor },
      { kind: "op_vanished", op, atMs: 5 },
      { kind: "op_closed", op, outcome: "not_done" },
    );
    expect(back.op).toEqual({
      id: op,
      kind: "force_detach",
      target: a.node,
      executor: null,
      vanishedAtMs: null,
    });
  });
});

test("a superseded node that cut or rebooted has to detach what it may have attached late", () => {
  const overridden: RecordEvent = { kind: "overridden", node: a.node, op, atMs: 1 };
  const closed = after(held, overridden, { kind: "op_closed", op, outcome: "done" });
  const second = after(closed, grantTo(b));
  for (const record of [closed, second]) {
    const cut = after(record, { kind: "cut_reported", by: a });
    expect([cut.residue, cut.superseded, cut.claim]).toEqual([a.node, [], record.claim]);
    const rebooted = after(record, { kind: "rebooted", node: a.node, era: b.era });
    expect([rebooted.residue, rebooted.superseded]).toEqual([a.node, []]);
  }
});

describe("existence", () => {
  test("is created only from never; the first registered volume wins", () => {
    expect(after(fresh, grantTo(a)).volume).toEqual({ kind: "creating", op });
    expect(refusal(held, { ...registered, ref: parseVolumeRef("v2") })).toBe("duplicate_volume");
    expect(refusal(fresh, registered)).toBe("volume_unknown");
  });

  test("of a local volume begins where the claim is: what a node made before its claim ended is spare", () => {
    const local: DatasetRecord = { ...fresh, poolKind: "local", fileSystem: null };
    const given = after(local, grantTo(a), { kind: "overridden", node: a.node, op, atMs: 1 });
    expect(after(given, registered).copies).toMatchObject([{ node: a.node, role: "live" }]);
    const taken = after(given, grantTo(b));
    expect(refusal(taken, registered)).toBe("not_the_holder");
    expect(after(taken, { ...registered, by: b }).copies).toMatchObject([{ node: b.node }]);
  });

  test("formatted is said by the holder alone and never unsaid", () => {
    expect(refusal(held, { kind: "formatted", by: b, generation: 1 })).toBe("not_the_holder");
    const formatted = after(held, { kind: "formatted", by: a, generation: 1 });
    expect(formatted.formatted).toBe("yes");
    expect(refusal(formatted, { kind: "formatted", by: a, generation: 1 })).toBe("already");
    const lineage = ops[1];
    expect(after(held, { kind: "formatted", by: a, generation: 1, lineage }).lineage).toBe(lineage);
  });
});

test("a record whose move is open takes no grant and no deletion", () => {
  const move = {
    id: op,
    source: a.node,
    target: b.node,
    phase: "sealed",
    generation: 1,
    openedAtMs: 1,
  } as const;
  expect(refusal({ ...fresh, move }, grantTo(a))).toBe("move_open");
  const deleting = after({ ...fresh, move }, { kind: "deletion_asked", atMs: 3, reclaim: "trash" });
  expect(refusal(deleting, { kind: "deletion_advanced", op })).toBe("move_open");
  expect(refusal({ ...fresh, volume: { kind: "gone" } }, grantTo(a))).toBe("volume_gone");
});

test("the name is the metadata's, null without one", () => {
  expect([nameOf(fresh), nameOf({ metadata: {} })]).toEqual(["db", null]);
});

test("what no parser would let in crashes instead of changing a record", () => {
  const kind: string = "thought_of";
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- that is the point
  const broken = { kind } as never;
  expect(() => recordStep(fresh, broken)).toThrow(/unreachable/);
  expect(() => recordStep({ ...fresh, volume: broken }, registered)).toThrow(/unreachable/);
  const asked = { atMs: 1, reclaim: broken, phase: "deleting" } as const;
  expect(() =>
    recordStep({ ...fresh, deletion: asked }, { kind: "deletion_advanced", op }),
  ).toThrow(/unreachable/);
});

describe("deletion", () => {
  const asked: RecordEvent = { kind: "deletion_asked", atMs: 3, reclaim: "delete" };
  const advanced: RecordEvent = { kind: "deletion_advanced", op };

  test("waits for the holder", () => {
    expect(refusal(after(held, asked), advanced)).toBe("claimed");
  });

  test("destroys through an op, and ends gone", () => {
    const destroying = after(held, asked, released(a, 1), advanced);
    expect(destroying.op?.kind).toBe("destroy");
    const gone = after(destroying, { kind: "op_closed", op, outcome: "done" });
    expect([gone.volume.kind, gone.deletion?.phase]).toEqual(["gone", "gone"]);
    expect(refusal(gone, grantTo(a))).toBe("deleted");
  });

  test("of a dataset that never had a volume needs no op", () => {
    expect(after(fresh, asked, advanced).deletion?.phase).toBe("gone");
  });

  test("keeps the volume for trash and retain", () => {
    const trash = after(held, { ...asked, reclaim: "trash" }, released(a, 1), advanced);
    expect([trash.volume.kind, trash.deletion?.phase]).toEqual(["exists", "trashed"]);
  });
});
