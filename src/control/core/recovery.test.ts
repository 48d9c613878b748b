import { describe, expect, test } from "vitest";
import { type NodeId, type OpId, parseDatasetId, parseOpId } from "../../domain/ids.ts";
import { type DatasetRecord, liveCopy } from "../../domain/record.ts";
import type { HeldCopy, Holding } from "../../protocol/agent-messages.ts";
import { assert } from "../../lib/assert.ts";
import { a, b, c, coreOf, LocalBed, pool, uuid } from "./test-core.ts";

function held(kind: HeldCopy["kind"], generation: number, move: OpId | null = null): HeldCopy {
  return { kind, pool: "disks", generation, move };
}

/** A record whose move is sealed, as a backup of the store has it, and as agents remember it. */
function sealed(): LocalBed {
  const bed = new LocalBed().heldByA();
  bed.order(b);
  bed.report(b, { kind: "copied", move: bed.move.id });
  bed.release(a);
  bed.seal(a);
  return bed;
}

function recovering(bed: LocalBed, records: readonly DatasetRecord[] = [bed.record]): LocalBed {
  const nodes = [...bed.core.state.nodes.values()];
  const { revision } = bed.core.state;
  return new LocalBed({ recovering: true, everRecovered: true, records, nodes, revision }, []);
}

/** Says hello for `node`, whose disks have `copies`. */
function heard(
  bed: LocalBed,
  node: NodeId,
  copies: readonly HeldCopy[],
  change: Partial<Holding> = {},
): void {
  const holding: Holding = {
    datasetId: bed.id,
    name: "db",
    generation: 1,
    mounted: false,
    claim: null,
    record: null,
    copies,
    ...change,
  };
  bed.hello(node, { holdings: copies.length === 0 ? [] : [holding] });
}

describe("recovery of a sealed move", () => {
  test("aborts it when no end was promoted and all were heard", () => {
    const before = sealed();
    const { id } = before.move;
    const bed = recovering(before);
    heard(bed, a, [held("sealed", 1, id)]);
    heard(bed, b, [held("received", 1, id)]);
    expect(bed.record).toMatchObject({ move: { phase: "sealed" }, claim: null });
    heard(bed, c, []);
    // The order stands, so another move begins.
    expect(bed.move).toMatchObject({ phase: "precopy", source: a, target: b });
    expect(liveCopy(bed.record)?.node).toBe(a);
    expect(bed.record.copies).toContainEqual(
      expect.objectContaining({ node: b, role: "fallback", generation: 1 }),
    );
  });

  test("lets a promoted target win", () => {
    const before = sealed();
    const { id } = before.move;
    const bed = recovering(before);
    heard(bed, a, [held("sealed", 1, id)]);
    heard(bed, c, []);
    heard(bed, b, [held("live", 2)], { generation: 2 });
    expect(liveCopy(bed.record)).toMatchObject({ node: b, generation: 2 });
    expect(bed.record.generation).toBeGreaterThanOrEqual(2);
    expect(bed.record.copies).toContainEqual(
      expect.objectContaining({ node: a, role: "fallback" }),
    );
  });

  test("waits for an end that is unheard until a person decides", () => {
    const before = sealed();
    const bed = recovering(before);
    heard(bed, a, [held("sealed", 1, before.move.id)]);
    heard(bed, c, []);
    bed.tick(600_000);
    expect(bed.record).toMatchObject({ move: { phase: "sealed" }, claim: null });
    bed.declareDead(b);
    expect(bed.record).toMatchObject({ move: null, claim: { node: a } });
  });

  test("takes the move from what agents remember, when the store lost the record", () => {
    const before = sealed();
    const { record } = before;
    const bed = recovering(before, []);
    heard(bed, a, [held("sealed", 1, before.move.id)], { record });
    heard(bed, b, [held("received", 1, before.move.id)], { record });
    heard(bed, c, []);
    expect(bed.record).toMatchObject({ lost: false, move: { phase: "precopy", source: a } });
    expect(liveCopy(bed.record)?.node).toBe(a);
  });
});

describe("recovery of a local dataset", () => {
  test("of which no copy was made yet leaves its first one to be made", () => {
    const before = new LocalBed();
    before.create({ datasetId: before.id, metadata: { name: "db" } });
    const { record } = before;
    const bed = recovering(before, []);
    const holding = { datasetId: bed.id, name: "db", generation: 1, mounted: false } as const;
    bed.hello(a, { holdings: [{ ...holding, claim: 1, record, copies: [] }] });
    heard(bed, b, []);
    heard(bed, c, []);
    expect(bed.record).toMatchObject({ claim: { node: a }, volume: { kind: "creating" } });
    expect(bed.record.copies).toEqual([]);
  });

  test("leaves it with whoever has it mounted, and keeps another live copy for a person", () => {
    const before = new LocalBed().heldByA();
    const bed = recovering(before);
    heard(bed, a, [held("live", 1)]);
    heard(bed, b, [held("live", 4)], { generation: 4, mounted: true });
    heard(bed, c, []);
    expect(bed.record.claim).toMatchObject({ node: b, generation: 4 });
    expect(liveCopy(bed.record)?.node).toBe(b);
    expect(bed.record.copies).toContainEqual(
      expect.objectContaining({ node: a, role: "diverged", discarding: false }),
    );
  });

  test("does not go on with an older copy when the disk of the live one is away", () => {
    const before = new LocalBed().heldByA().moveTo(b);
    const bed = recovering(before);
    heard(bed, a, [held("sealed", 1)]);
    heard(bed, b, []);
    heard(bed, c, []);
    expect(liveCopy(bed.record)?.node).toBe(b);
  });

  test("remembers the pool of one whose record is lost everywhere", () => {
    const bed = recovering(new LocalBed().heldByA(), []);
    heard(bed, a, [held("live", 1)]);
    heard(bed, b, []);
    heard(bed, c, []);
    expect(bed.record).toMatchObject({
      lost: true,
      pool: "disks",
      poolKind: "local",
      fileSystem: null,
    });
    expect(() => bed.order(b)).toThrow("restore a newer backup of the store");
  });
});

function nameIn({ core }: LocalBed, { datasetId }: DatasetRecord): string | undefined {
  return core.state.records.get(datasetId)?.metadata["name"];
}

describe("recovery of what agents were told last", () => {
  test("keeps a claim that its node is about to use, though nothing is mounted there yet", () => {
    const before = new LocalBed().heldByA();
    for (const claim of [1, null]) {
      const bed = recovering(before);
      heard(bed, a, [held("live", 1)], { claim });
      expect(bed.record.claim?.node ?? null).toBe(claim === null ? null : a);
    }
  });

  test("keeps that its volume exists and is formatted, learned within a generation", () => {
    const later = new LocalBed().heldByA().record;
    const op = later.lineage;
    const backup = { ...later, volume: { kind: "creating", op }, formatted: "no" } as const;
    const bed = recovering(new LocalBed().heldByA(), [{ ...backup, lineage: parseOpId(uuid(77)) }]);
    heard(bed, a, [held("live", 1)], { record: later });
    expect(bed.record).toMatchObject({ volume: later.volume, formatted: "yes", lineage: op });
  });

  test("gives a name to the later of two live records", () => {
    const early = new LocalBed().heldByA().record;
    const later = { ...early, datasetId: parseDatasetId(uuid(51)), createdAtMs: 1e6 };
    for (const [stored, told] of [
      [early, later],
      [later, early],
    ] as const) {
      const bed = recovering(new LocalBed().heldByA(), [stored]);
      const { datasetId } = told;
      heard(bed, a, [held("live", 1)], { datasetId, record: told });
      expect([early, later].map((one) => nameIn(bed, one))).toEqual([undefined, "db"]);
      expect(bed.core.state.names.get("db")).toBe(later.datasetId);
    }
  });
});

/** Of a storage that every node reaches; nobody has it, as far as the backup knows. */
function idle(): DatasetRecord {
  const { record } = new LocalBed().heldByA({ pool: pool.name });
  return { ...record, claim: null };
}

function opOf(bed: LocalBed): OpId {
  const { op } = bed.record;
  assert(op !== null, "an op is open");
  return op.id;
}

describe("recovery without a node that a person gave up", () => {
  test("grants a volume only once that node is forced off it, under a generation it never had", () => {
    const bed = recovering(new LocalBed().heldByA(), [idle()]);
    heard(bed, a, []);
    heard(bed, b, []);
    bed.core.declareDead(c, false, bed.pass());

    expect(bed.record).toMatchObject({
      claim: null,
      superseded: [c],
      op: { kind: "force_detach", target: c, executor: { node: a } },
    });

    bed.report(a, { kind: "op_done", op: opOf(bed) });
    expect(bed.record).toMatchObject({ op: null, claim: { node: a } });
    // What it was granted in the history that is lost, nobody can know.
    expect(bed.record.generation).toBeGreaterThan(1_000_000);
  });

  test("takes no word of the backup for one of today: the node may have come back since", () => {
    const before = new LocalBed().heldByA();
    before.core.declareDead(c, true, before.pass());
    const bed = recovering(before, [idle()]);
    heard(bed, a, []);
    heard(bed, b, []);
    expect(bed.core.state.mode.kind).toBe("recovering");
    expect(bed.record).toMatchObject({ claim: null, op: null });

    heard(bed, c, []);
    expect(bed.core.state.mode.kind).toBe("normal");
    expect(bed.record).toMatchObject({ claim: { node: a }, op: null, superseded: [] });
  });

  test("forces off each of several, one after the other", () => {
    const bed = recovering(new LocalBed().heldByA(), [idle()]);
    heard(bed, a, []);
    bed.core.declareDead(b, false, bed.pass());
    bed.core.declareDead(c, false, bed.pass());

    expect(bed.record).toMatchObject({ claim: null, op: { target: b } });
    bed.report(a, { kind: "op_done", op: opOf(bed) });
    expect(bed.record).toMatchObject({ claim: null, op: { target: c } });
    bed.report(a, { kind: "op_done", op: opOf(bed) });
    expect(bed.record).toMatchObject({ claim: { node: a }, op: null, superseded: [b, c] });
  });

  test("leaves who has it in use alone", () => {
    const bed = recovering(new LocalBed().heldByA(), [idle()]);
    heard(bed, a, [], {});
    bed.hello(b, {
      holdings: [
        {
          datasetId: bed.id,
          name: "db",
          generation: 3,
          mounted: true,
          claim: 3,
          record: null,
          copies: [],
        },
      ],
    });
    bed.core.declareDead(c, false, bed.pass());

    expect(bed.record).toMatchObject({ op: null, claim: { node: b, generation: 3 } });
    expect(bed.record.generation).toBe(3);
  });

  test("asks nothing of what was created since", () => {
    const bed = recovering(new LocalBed().heldByA(), [idle()]);
    heard(bed, a, []);
    heard(bed, b, []);
    bed.core.declareDead(c, false, bed.pass());
    const made = bed.create({ pool: pool.name, metadata: { name: "new" } });

    const record = bed.core.state.records.get(made.datasetId);
    expect(record).toMatchObject({ op: null, claim: { node: a } });
  });

  test("has it cut what it may have when it comes back after all", () => {
    const bed = recovering(new LocalBed().heldByA(), [idle()]);
    heard(bed, a, []);
    heard(bed, b, []);
    bed.core.declareDead(c, false, bed.pass());
    bed.report(a, { kind: "op_done", op: opOf(bed) });

    bed.hello(c);
    expect(bed.told(c)?.record.superseded).toEqual([c]);
    bed.report(c, { kind: "cut_done" });
    expect(bed.record).toMatchObject({ superseded: [], claim: { node: a }, residue: c });
  });
});

test("recovery that knows of no node says that it waits for the first agent", () => {
  const { mode } = coreOf({ recovering: true, everRecovered: true }).state;
  expect(mode).toMatchObject({ kind: "recovering", message: expect.stringMatching(/first agent/) });
});
