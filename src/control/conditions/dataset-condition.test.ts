import { describe, expect, test } from "vitest";
import { condition } from "../../domain/condition.ts";
import { a, b, LocalBed } from "../core/test-core.ts";
import { datasetCondition } from "./dataset-condition.ts";

test("an order to a node that is not connected is a reason, though the holder shows the volume", () => {
  const bed = new LocalBed();
  bed.create({ datasetId: bed.id, pool: null });
  bed.take(a);
  bed.observe(a, { shown: true });
  bed.order(b);
  bed.disconnect(b);

  const why = datasetCondition(bed.core.state, bed.record, bed.nowMs);

  expect(why).toMatchObject({ code: "WAITING_FOR_NODE" });
  expect(why?.message).toContain("is its primary and is not connected");
});

const held = (): LocalBed => new LocalBed().heldByA();
const why = (bed: LocalBed): string | undefined =>
  datasetCondition(bed.core.state, bed.record, bed.nowMs)?.message;
const code = (bed: LocalBed): string | undefined =>
  datasetCondition(bed.core.state, bed.record, bed.nowMs)?.code;

describe("a local dataset says", () => {
  test("how much of the bulk is copied, and where it goes", () => {
    const bed = held();
    bed.order(b);
    const progress = { stage: "base", bytes: 43 << 20, totalBytes: 100 << 20 } as const;
    bed.observe(b, { progress: { ...progress, bytesPerSecond: 1 << 20 } });
    expect(code(bed)).toBe("WORKING");
    expect(why(bed)).toMatch(
      /bulk goes from node .* to node .*: 43 %, 43 MiB so far, 1\.0 MiB\/s, about 57 s left/,
    );
  });

  test("who holds it once the bulk is there", () => {
    const bed = held();
    bed.order(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.say(a, {
      kind: "containers",
      containers: [{ id: "c1", name: "redis", running: true, volumes: ["db"] }],
    });
    bed.observe(a, { shown: true, users: [{ id: "u", container: "c1" }] });
    expect(code(bed)).toBe("WAITING_FOR_RELEASE");
    expect(why(bed)).toMatch(/held by container redis; stop it there. The bulk is on node/);
  });

  test("that nobody waits for it any more where the bulk is, rather than who holds it", () => {
    const bed = held();
    bed.wish(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.observe(a, { shown: true, users: [{ id: "u", container: "c1" }] });
    expect(code(bed)).toBe("WAITING_FOR_RELEASE");
    bed.say(b, { kind: "wish_ended", datasetId: bed.id });
    expect(code(bed)).toBe("WORKING");
    expect(why(bed)).toMatch(/^The bulk is on node .* Nobody waits for it there any more/);
  });

  test("that it is sealed for a silent target, and how to go on where the data is", () => {
    const bed = held();
    bed.order(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.release(a);
    bed.seal(a);
    expect(why(bed)).toMatch(/Sealed on node .* Nobody mounts it before that has ended/);
    bed.disconnect(b);
    expect(code(bed)).toBe("WAITING_FOR_NODE");
    expect(why(bed)).toContain(`flockerctl move -d ${bed.id} -t ${a}`);
  });

  test("that the node of its live copy is silent, and how old each fallback is", () => {
    const bed = held();
    bed.order(b);
    bed.disconnect(a);
    expect(code(bed)).toBe("WAITING_FOR_NODE");
    expect(why(bed)).toContain("no other node has a copy of it");
    bed.hello(a);
    bed.disconnect(b);
    const moved = held().moveTo(b);
    moved.tick(3 * 3_600_000);
    moved.disconnect(b);
    expect(why(moved)).toMatch(/has a fallback that is 3 h old; what was written after that would/);
  });

  test("that its only live copy is on a node that was declared dead", () => {
    const bed = held();
    bed.disconnect(a);
    bed.declareDead(a);
    expect(why(bed)).toMatch(/which was declared dead; no other node has a copy of it/);
    expect(why(bed)).toContain("It is used again when that node is back.");
  });

  test("how to get at what the target of a sealed move got when the source was given up", () => {
    const bed = held();
    bed.order(b);
    bed.report(b, { kind: "copied", move: bed.move.id });
    bed.release(a);
    bed.seal(a);
    bed.disconnect(a);
    bed.declareDead(a);
    expect(why(bed)).toContain(`flockerctl copies rescue ${bed.id} --node ${b} --as <name>`);
    const wanted = { datasetId: bed.id, node: b, name: "found" };
    expect(bed.core.rescue(wanted, bed.pass())).toMatchObject({ from: { node: b }, primary: b });
  });

  test("that the target has no room, in the target's words", () => {
    const bed = held();
    bed.order(b);
    bed.observe(b, { condition: condition("POOL_FULL", "It has 3 bytes free.") });
    bed.tick();
    expect(code(bed)).toBe("POOL_FULL");
    expect(why(bed)).toBe("It has 3 bytes free.");
  });

  test("that the target has no such pool", () => {
    const bed = held();
    bed.order(b);
    bed.disconnect(b);
    bed.hello(b, { pools: [] });
    expect(code(bed)).toBe("POOL_MISSING");
    expect(why(bed)).toContain("has no pool disks (its pools: none)");
  });

  test("that the target cannot open its pool, and why", () => {
    const bed = held();
    bed.order(b);
    bed.disconnect(b);
    bed.hello(b, { pools: [], poolsAway: [{ name: "disks", message: "no route to 10.0.0.9" }] });
    expect(code(bed)).toBe("BACKEND_UNAVAILABLE");
    expect(why(bed)).toContain("cannot open its pool disks: no route to 10.0.0.9. Its agent");
  });

  test("nothing when it is used where it is", () => {
    const bed = held();
    bed.observe(a, { shown: true });
    expect(why(bed)).toBeUndefined();
  });
});

test("a local volume of the dataset's name is a warning, kept while its node is away", () => {
  const bed = held();
  bed.observe(a, { shown: true });
  expect(code(bed)).toBeUndefined();

  bed.say(b, { kind: "local_volumes", names: ["db"] });
  expect(code(bed)).toBe("SHADOWED_BY_LOCAL_VOLUME");
  expect(why(bed)).toMatch(
    /^Node .* has a volume db of Docker's driver local.*docker volume rm db$/,
  );

  bed.disconnect(b);
  expect(code(bed)).toBe("SHADOWED_BY_LOCAL_VOLUME");

  bed.hello(b);
  bed.say(b, { kind: "local_volumes", names: [] });
  expect(code(bed)).toBeUndefined();
});

test("every node is told of a shadow, those too that connect later", () => {
  const bed = held();
  const told = (node: string): readonly string[] =>
    bed.batches
      .flatMap(({ outputs }) => outputs)
      .flatMap((output) =>
        output.kind === "send" && output.connection.startsWith(node) ? [output.message] : [],
      )
      .flatMap((message) => (message.kind === "shadows" ? message.entries : []))
      .map(({ name }) => name);
  bed.say(b, { kind: "local_volumes", names: ["db"] });
  expect(told(a)).toEqual(["db"]);

  bed.disconnect(a);
  bed.hello(a);
  expect(told(a)).toEqual(["db", "db"]);
});
