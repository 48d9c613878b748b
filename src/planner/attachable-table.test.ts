import { describe, expect, test } from "vitest";
import { parseOpId, parseVolumeRef } from "../domain/ids.ts";
import type { Claim, DatasetRecord } from "../domain/record.ts";
import { boots, fresh, nodes, ops } from "../domain/record-samples.ts";
import { isRefusal, recordStep } from "../domain/record-step.ts";
import type { Device, Volume } from "../domain/volume.ts";
import { holdersText, label } from "./cells.ts";
import { attachableTable, decideAttachable } from "./attachable-table.ts";
import { desiredOf } from "./desired.ts";
import type { ObservedAttachable } from "./observed.ts";
import { identityOf, textOf } from "./test-decision.ts";

const [a, b] = nodes;
const [era] = boots;
const [op] = ops;
const claim: Claim = { node: a, era, generation: 4, phase: "taken", before: null };
const ref = parseVolumeRef("v1");
const exists = { kind: "exists", ref, sizeBytes: 1 << 30 } as const;
const held: DatasetRecord = { ...fresh, generation: 4, claim, volume: exists, formatted: "yes" };
const volume: Volume = {
  ref,
  datasetId: fresh.datasetId,
  op,
  sizeBytes: 1 << 30,
  attachedTo: null,
};
const device: Device = { path: "/dev/loop1", diskSequence: 1 };
const identity = identityOf(3);

/** What node `a` decides, as text: the step, the report, or the condition. */
function decided(record: DatasetRecord, see: ObservedAttachable): string {
  return textOf(decideAttachable(desiredOf(record, a, era), see));
}

test("without a claim nothing is done, whatever is seen", () => {
  for (const kind of ["nothing", "unknown"] as const) {
    expect(decideAttachable({ kind }, { kind: "absent" })).toEqual({ kind: "done" });
    expect(decideAttachable({ kind }, { kind: "mounted" })).toEqual({ kind: "done" });
  }
});

test("every desired state has a cell for every observed one", () => {
  const rows = Object.values(attachableTable).map((row) => Object.keys(row).sort().join());
  expect(new Set(rows).size).toBe(1);
});

test("a new dataset comes to its first user, and goes back, one step after the other", () => {
  const grant = { node: a, era, session: 1 };
  let record = fresh;
  let see: ObservedAttachable = { kind: "absent" };
  const steps: string[] = [];
  const happens = (event: Parameters<typeof recordStep>[1]): void => {
    const next = recordStep(record, event);
    if (isRefusal(next)) throw new Error(`${event.kind}: ${next.reason}`);
    record = next;
  };
  const after: Readonly<Record<string, () => void>> = {
    create_volume: () => (see = { kind: "detached", volume }),
    "says volume_created": () =>
      happens({ kind: "volume_registered", by: grant, op, ref, sizeBytes: 1 << 30 }),
    attach_volume: () => (see = { kind: "blank", volume, device }),
    format_volume: () =>
      (see = { kind: "ready", volume, device, identity: { ...identity, generation: 0 } }),
    "says formatted": () => happens({ kind: "formatted", by: grant, generation: 1 }),
    mount_volume: () => (see = { kind: "mounted" }),
    show_volume: () => (see = { kind: "shown", holders: [] }),
    done: () => happens({ kind: "release_begun", by: grant, generation: 1 }),
    hide_volume: () => (see = { kind: "mounted" }),
    unmount_volume: () => (see = { kind: "ready", volume, device, identity }),
    detach_volume: () => (see = { kind: "detached", volume }),
    "says released": () => happens({ kind: "released", by: grant, generation: 1 }),
  };
  happens({ kind: "granted", to: grant, wishAtMs: null, createOp: op });
  while (record.claim !== null && steps.length < 20) {
    const step = decided(record, see);
    steps.push(step);
    after[step]?.();
  }

  expect(steps).toMatchInlineSnapshot(`
    [
      "create_volume",
      "says volume_created",
      "attach_volume",
      "format_volume",
      "says formatted",
      "mount_volume",
      "show_volume",
      "done",
      "hide_volume",
      "unmount_volume",
      "detach_volume",
      "says released",
    ]
  `);
});

test("a node is told nothing of a dataset without a record, or of one that does not concern it", () => {
  expect(desiredOf(undefined, a, era)).toEqual({ kind: "nothing" });
  expect(desiredOf(held, b, era)).toEqual({ kind: "nothing" });
  expect(desiredOf(held, a, boots[1])).toEqual({ kind: "nothing" });
});

describe("under a claim for use", () => {
  test("a volume that is registered and not seen is missing, never made again", () => {
    expect(decided(held, { kind: "absent" })).toBe("VOLUME_MISSING");
  });

  test("a volume that another operation made is neither used nor deleted", () => {
    const creating: DatasetRecord = {
      ...held,
      volume: { kind: "creating", op: parseOpId("e0000000-0000-4000-8000-000000000001") },
    };
    expect(decided(creating, { kind: "detached", volume })).toBe("DUPLICATE_VOLUME");
    const ready = { kind: "ready", volume, device, identity } as const;
    expect(decided(creating, ready)).toBe("DUPLICATE_VOLUME");
  });

  test("a volume that is gone or was never asked for is not used", () => {
    for (const kind of ["never", "gone"] as const) {
      const record: DatasetRecord = { ...held, volume: { kind } };
      expect(decided(record, { kind: "stale", volume })).toBe("VOLUME_MISSING");
    }
  });

  test("what is attached to another node is waited for, not taken", () => {
    expect(decided(held, { kind: "elsewhere", volume, node: b })).toBe("ATTACHED_ELSEWHERE");
  });

  test("an attachment of an earlier era is replaced by one of this claim", () => {
    expect(decided(held, { kind: "stale", volume })).toBe("attach_volume");
  });

  test("a volume that was formatted and is blank now has lost its content", () => {
    for (const kind of ["blank", "partial"] as const) {
      expect(decided(held, { kind, volume, device })).toBe("VOLUME_LOST_CONTENT");
      expect(decided({ ...held, formatted: "no" }, { kind, volume, device })).toBe("format_volume");
    }
  });

  test("a volume that was used under a newer generation is not mounted", () => {
    const newer = { ...identity, generation: 5 };
    expect(decided(held, { kind: "ready", volume, device, identity: newer })).toBe("STALE_CLAIM");
  });

  test("a volume of another descent is not mounted", () => {
    const other = { ...identity, lineage: parseOpId("e0000000-0000-4000-8000-000000000001") };
    const see = { kind: "ready", volume, device, identity: other } as const;
    expect(decided(held, see)).toBe("IDENTITY_MISMATCH");
  });

  test("what was used before the record remembers that it was formatted is reported as what it is", () => {
    const forgotten: DatasetRecord = { ...held, formatted: "no" };
    const lineage = parseOpId("e0000000-0000-4000-8000-000000000001");
    const look = (generation: number): ObservedAttachable => ({
      kind: "ready",
      volume,
      device,
      identity: { ...identity, lineage, generation },
    });
    expect(decideAttachable(desiredOf(forgotten, a, era), look(3))).toEqual({
      kind: "report",
      report: { kind: "formatted", generation: 4, lineage },
    });
    expect(decided(forgotten, look(5))).toBe("STALE_CLAIM");
    // Nobody was ever shown it: a mkfs of a claim that was taken away.
    expect(decided(forgotten, look(0))).toBe("IDENTITY_MISMATCH");
  });

  test("what an earlier child process still works on is waited for", () => {
    expect(decided(held, { kind: "unknown", reason: "busy", busy: true })).toBe("BUSY_CHILD");
  });

  test("a volume whose record became unreadable crashes instead of being used", () => {
    const kind: string = "thought_of";
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- that is the point
    const broken: DatasetRecord = { ...held, volume: { kind } as never };
    expect(() => decided(broken, { kind: "detached", volume })).toThrow(/unreachable/);
  });
});

test("an attachment that is not seen, as its volume is not, is not taken for given back", () => {
  const absent = { kind: "absent" } as const;
  const releasing = { ...held, claim: { ...claim, phase: "releasing" } } as const;
  const rebooted = { ...held, claim: null, residue: a };
  const executor = { node: a, era, session: 1 };
  const force = { id: op, kind: "force_detach", target: b, executor, vanishedAtMs: null } as const;
  const forced = { ...held, claim: null, op: force };
  for (const record of [releasing, rebooted, forced]) {
    expect(decided(record, absent)).toBe("VOLUME_MISSING");
  }

  const deletion = { atMs: 1, reclaim: "delete", phase: "deleting" } as const;
  expect(decided({ ...releasing, deletion }, absent)).toBe("says released");
  expect(decided({ ...rebooted, deletion }, absent)).toBe("says cleared");
  const destroy = { ...force, kind: "destroy", target: null } as const;
  expect(decided({ ...forced, op: destroy, deletion }, absent)).toBe("says op_done");
});

test("an attachment made under a later generation than the op knows of is not taken by force", () => {
  const executor = { node: a, era, session: 1 };
  const force = { id: op, kind: "force_detach", target: b, executor, vanishedAtMs: null } as const;
  const forced = { ...held, claim: null, op: force };
  const under = (generation: number): ObservedAttachable => {
    const attachedTo = { node: b, era, generation };
    return { kind: "elsewhere", volume: { ...volume, attachedTo }, node: b };
  };
  expect(decided(forced, under(4))).toBe("force_detach");
  expect(decided(forced, under(5))).toBe("says op_done");
});

describe("for people", () => {
  test("a dataset is called by its name and id, or by its id alone", () => {
    expect(label(fresh)).toBe(`db (${fresh.datasetId})`);
    expect(label({ ...fresh, metadata: {} })).toBe(`dataset ${fresh.datasetId}`);
  });

  test("holders are named once each: containers by their short id, others by pid and command", () => {
    const container = { pid: 7, command: "postgres", container: "c0ffee".repeat(8) };
    const shell = { pid: 8, command: "sh", container: null };
    const nobody = { pid: null, command: null, container: null };
    const hidden = { pid: null, command: null, container: "beef".repeat(16) };
    expect(holdersText([container, container, shell, nobody, hidden])).toBe(
      "container c0ffeec0ffee (pid 7), process 8 (sh), process ? (?), container beefbeefbeef (pid ?)",
    );
  });
});
