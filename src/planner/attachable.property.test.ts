import {
  type Arbitrary,
  assert,
  constantFrom,
  nat,
  oneof,
  property,
  sample,
  tuple,
} from "fast-check";
import { describe, expect, test } from "vitest";
import { conditionCodes } from "../domain/condition.ts";
import { boots, nodes, records } from "../domain/record-samples.ts";
import type { Action, ActionKind } from "./action.ts";
import { decideAttachable } from "./attachable-table.ts";
import type { Decision } from "./decision.ts";
import { type Desired, desiredOf } from "./desired.ts";
import type { ObservedAttachable } from "./observed.ts";
import { observations } from "./observed-samples.ts";
import { wayOut } from "./test-decision.ts";

/** What any record says to any node in any era; also the two that no record says. */
const wishes: Arbitrary<Desired> = oneof(
  { weight: 8, arbitrary: tuple(records, constantFrom(...nodes), nat(8)).map(toDesired) },
  { weight: 1, arbitrary: constantFrom<Desired>({ kind: "nothing" }, { kind: "unknown" }) },
);

function toDesired([record, node, number]: readonly [
  Parameters<typeof desiredOf>[0] & {},
  Parameters<typeof desiredOf>[1],
  number,
]): Desired {
  const { claim, op } = record;
  const anybody = boots[number % boots.length] ?? claim?.era;
  // Mostly the era that the record speaks of; a random one says "nothing" most of the time.
  const era = number < 2 ? anybody : (claim?.era ?? op?.executor?.era ?? anybody);
  const speaking = number < 6 ? (claim?.node ?? op?.executor?.node ?? node) : node;
  return era === undefined ? { kind: "nothing" } : desiredOf(record, speaking, era);
}

function always(law: (want: Desired, see: ObservedAttachable, decision: Decision) => void): void {
  assert(
    property(wishes, observations, (want, see) => law(want, see, decideAttachable(want, see))),
    { numRuns: 300 },
  );
}

function alwaysActing(
  law: (action: Action, want: Desired, see: ObservedAttachable) => void,
  ...kinds: readonly ActionKind[]
): void {
  always((want, see, decision) => {
    if (decision.kind !== "act") return;
    if (kinds.length === 0 || kinds.includes(decision.action.kind)) {
      law(decision.action, want, see);
    }
  });
}

describe("what may be done", () => {
  test("only a claim for use creates, attaches, formats, mounts or shows", () => {
    alwaysActing(
      (action, want) => {
        expect(want.kind).toBe("use");
        if (want.kind === "use") expect(action.generation).toBe(want.claim.generation);
      },
      "create_volume",
      "attach_volume",
      "format_volume",
      "mount_volume",
      "show_volume",
    );
  });

  test("a volume is created only while the record says creating", () => {
    alwaysActing((action, want, see) => {
      expect(see.kind).toBe("absent");
      const volume = want.kind === "use" ? want.record.volume : null;
      expect(volume).toMatchObject({ kind: "creating", op: "op" in action ? action.op : null });
    }, "create_volume");
  });

  test("a file system is made only while the record says no and the device is blank or partial", () => {
    alwaysActing((_, want, see) => {
      expect(["blank", "partial"]).toContain(see.kind);
      if (want.kind !== "use") return;
      expect(want.record.formatted).toBe("no");
      expect(want.record.volume.kind).toBe("exists");
    }, "format_volume");
  });

  test("only a formatted volume of the right descent that is not ahead of the claim is mounted", () => {
    alwaysActing((_, want, see) => {
      if (want.kind !== "use" || see.kind !== "ready") return expect.unreachable();
      expect(want.record).toMatchObject({ formatted: "yes", volume: { kind: "exists" } });
      expect(see.identity.lineage).toBe(want.record.lineage);
      expect(see.identity.generation).toBeLessThanOrEqual(want.claim.generation);
    }, "mount_volume");
  });

  test("a volume is attached only once it is the registered one", () => {
    alwaysActing((_, want) => {
      expect(want).toMatchObject({ kind: "use", record: { volume: { kind: "exists" } } });
    }, "attach_volume");
  });
});

describe("what is never taken", () => {
  test("what is held or has users is never unmounted or detached", () => {
    alwaysActing(
      (_, _want, see) => {
        expect(see.kind).not.toBe("held");
        if (see.kind === "shown") expect(see.holders).toEqual([]);
      },
      "hide_volume",
      "unmount_volume",
      "detach_volume",
      "destroy_volume",
      "force_detach",
    );
  });

  test("nothing is detached under a claim for use", () => {
    alwaysActing(
      (_, want) => expect(["release", "clean", "operate"]).toContain(want.kind),
      "hide_volume",
      "unmount_volume",
      "detach_volume",
    );
  });

  test("another node's attachment is ended only by the op that names the node", () => {
    alwaysActing((action, want, see) => {
      if (want.kind !== "operate" || see.kind !== "elsewhere") return expect.unreachable();
      expect(want.op).toMatchObject({ kind: "force_detach", target: see.node });
      expect(action).toMatchObject({ target: see.node, op: want.op.id });
      const attached = see.volume.attachedTo?.generation ?? 0;
      expect(attached).toBeLessThanOrEqual(want.record.generation);
    }, "force_detach");
  });

  test("a volume is destroyed only by the op for it, attached to nobody", () => {
    alwaysActing((_, want, see) => {
      expect(want).toMatchObject({ kind: "operate", op: { kind: "destroy" } });
      if (want.kind !== "operate" || see.kind !== "detached") return expect.unreachable();
      const { volume } = want.record;
      if (volume.kind === "creating") expect(see.volume.op).toBe(volume.op);
    }, "destroy_volume");
  });

  test("a superseded node only cuts", () => {
    always((want, _, decision) => {
      if (want.kind !== "cut") return;
      if (decision.kind === "act") expect(decision.action.kind).toBe("cut_access");
      else if (decision.kind === "report") expect(decision.report.kind).toBe("cut_done");
      else expect(decision.kind).toBe("wait");
    });
  });

  test("access is cut only where a claim ended without a release", () => {
    alwaysActing((_, want) => expect(["cut", "clean"]).toContain(want.kind), "cut_access");
  });
});

describe("what is said", () => {
  test("released, cleared and cut are said only when nothing is mounted or held here", () => {
    always((want, see, decision) => {
      if (decision.kind !== "report") return;
      const { kind } = decision.report;
      if (kind === "volume_created" || kind === "formatted" || kind === "op_done") return;
      expect(["unknown", "held", "mounted", "shown"]).not.toContain(see.kind);
      const attached = ["stale", "blank", "partial", "ready", "foreign"].includes(see.kind);
      if (attached) expect(want.kind).toBe("cut"); // Cutting touches no storage.
    });
  });

  test("an op is done when nothing is left to be done, never by its own node's mount", () => {
    always((want, see, decision) => {
      if (decision.kind !== "report" || decision.report.kind !== "op_done") return;
      expect(["unknown", "duplicate", "held", "mounted", "shown"]).not.toContain(see.kind);
      if (want.kind === "operate" && want.op.kind === "destroy") expect(see.kind).toBe("absent");
    });
  });

  test("whoever could not look does nothing but cut, and says nothing but why", () => {
    always((want, see, decision) => {
      if (see.kind !== "unknown" || want.kind === "cut") return;
      const idle = want.kind === "nothing" || want.kind === "unknown";
      expect(decision.kind).toBe(idle ? "done" : "wait");
    });
  });

  test("a condition is a sentence, and names the dataset, its volumes or the failed look", () => {
    always((want, _, decision) => {
      if (decision.kind !== "wait" || !("record" in want)) return;
      const { message, attempt } = decision.condition;
      expect(message).toMatch(/^[A-Za-z].{10,}/);
      expect(message).toMatch(/db|volumes|could not be read|child process/);
      expect(attempt).toBe(0);
    });
  });
});

describe("every decision", () => {
  test("is the same for the same question, and changes neither side of it", () => {
    always((want, see, decision) => {
      const text = JSON.stringify([want, see]);
      expect(decideAttachable(want, see)).toEqual(decision);
      expect(JSON.stringify([want, see])).toBe(text);
    });
  });

  test("names the record's dataset and pool, and the volume that was seen", () => {
    alwaysActing((action, want, see) => {
      if (!("record" in want)) return expect.unreachable();
      expect(action).toMatchObject({ datasetId: want.record.datasetId, pool: want.record.pool });
      if ("ref" in action && "volume" in see) expect(action.ref).toBe(see.volume.ref);
      if ("device" in action && action.device !== null && "device" in see) {
        expect(action.device).toBe(see.device);
      }
    });
  });

  test("that waits for a person says what to do", () => {
    always((_, __, decision) => {
      if (decision.kind !== "wait") return;
      const { code, message } = decision.condition;
      if (conditionCodes[code] === "error") expect(message).toMatch(wayOut);
    });
  });

  test("is to do nothing without a record, or when nothing is wanted", () => {
    always((want, _, decision) => {
      if (want.kind === "nothing" || want.kind === "unknown") expect(decision.kind).toBe("done");
    });
  });
});

test("every pair of desired and observed gets a decision", () => {
  const asked = sample(tuple(wishes, observations), { numRuns: 1_000, seed: 1 });
  const wants = new Map(asked.map(([want]) => [want.kind, want]));
  const sights = new Map(asked.map(([, see]) => [see.kind, see]));

  expect([wants.size, sights.size]).toEqual([7, 13]);
  for (const want of wants.values()) {
    for (const see of sights.values()) {
      expect(["act", "report", "wait", "done"]).toContain(decideAttachable(want, see).kind);
    }
  }
});
