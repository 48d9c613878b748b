import { describe, expect, test } from "vitest";
import type { LocalCopy } from "../domain/local-copy.ts";
import type { Claim, DatasetRecord, Move } from "../domain/record.ts";
import { boots, freshLocal, nodes, ops } from "../domain/record-samples.ts";
import type { DesiredLocal } from "./local-desired.ts";
import { chooseCopy } from "./local-look.ts";
import { identityOf } from "./test-decision.ts";

const [a, b] = nodes;
const [era] = boots;
const [, first, second] = ops;
const live = (generation: number): LocalCopy => ({
  kind: "live",
  identity: identityOf(generation),
});
const sealed = (generation: number): LocalCopy => ({
  kind: "sealed",
  identity: identityOf(generation),
  move: first,
});
const received = (generation: number, move = second): LocalCopy => ({
  kind: "received",
  identity: identityOf(generation),
  move,
});

const claim: Claim = { node: a, era, generation: 9, phase: "taken", before: null };
const record: DatasetRecord = { ...freshLocal, generation: 9, claim };
const use: DesiredLocal = { kind: "use", record, claim };
const move: Move = {
  id: second,
  source: b,
  target: a,
  phase: "sealed",
  generation: 5,
  openedAtMs: 1,
};
const receive: DesiredLocal = { kind: "receive", record, move };

test("of several contents the one of the latest claim is used, never the fallback of an older one", () => {
  expect(chooseCopy([sealed(3), received(5)], use)).toEqual(received(5));
  expect(chooseCopy([received(5), sealed(3)], use)).toEqual(received(5));
  expect(chooseCopy([received(5), live(6)], use)).toEqual(live(6));
  expect(chooseCopy([live(0), received(5)], use)).toEqual(received(5));
});

test("of equal ones what was promoted comes before what it was made of, and that before a fallback", () => {
  expect(chooseCopy([received(5), live(5)], use)).toEqual(live(5));
  expect(chooseCopy([sealed(5), received(5)], use)).toEqual(received(5));
});

test("what a move is sealed of is the latest, not the fallback of an earlier move", () => {
  const seal: DesiredLocal = { kind: "seal", record, move };
  expect(chooseCopy([sealed(3), received(5)], seal)).toEqual(received(5));
  expect(chooseCopy([sealed(5), received(5)], seal)).toEqual(sealed(5));
  expect(chooseCopy([received(5), live(5)], seal)).toEqual(live(5));
});

test("for a move only what it brought counts, but a live volume and remainders are seen", () => {
  expect(chooseCopy([sealed(3)], receive)).toEqual({ kind: "absent" });
  expect(chooseCopy([received(4, first)], receive)).toEqual({ kind: "absent" });
  expect(chooseCopy([sealed(3), received(5)], receive)).toEqual(received(5));
  const base = { kind: "base", move: second } as const;
  expect(chooseCopy([base, { kind: "partial", move: second }], receive).kind).toBe("partial");
  expect(chooseCopy([base, { kind: "partial", move: first }], receive)).toEqual(base);
  expect(chooseCopy([{ kind: "partial", move: first }], receive).kind).toBe("partial");
  expect(chooseCopy([received(5), live(1)], receive)).toEqual(live(1));
});

test("what is not ours is seen before everything else", () => {
  const foreign = { kind: "foreign", detail: "garbage" } as const;
  for (const want of [use, receive]) expect(chooseCopy([live(5), foreign], want)).toEqual(foreign);
});

test("what is spare or to be put aside is found beside what stays", () => {
  const diverged = { kind: "diverged", identity: identityOf(2) } as const;
  expect(chooseCopy([diverged, sealed(3)], { kind: "discard", record, node: a })).toEqual(
    sealed(3),
  );
  expect(chooseCopy([diverged], { kind: "discard", record, node: a })).toEqual({ kind: "absent" });
  expect(chooseCopy([diverged, live(3)], { kind: "diverge", record, node: a })).toEqual(live(3));
  expect(chooseCopy([diverged], { kind: "diverge", record, node: a })).toEqual(diverged);
  expect(chooseCopy([], use)).toEqual({ kind: "absent" });
});

describe("what the record calls diverged", () => {
  const copy = { node: a, generation: 5, sinceMs: 1, settled: true, discarding: false };
  const gone = { ...copy, role: "diverged" } as const;
  const coming = { ...copy, role: "replica" } as const;
  const parted = { kind: "parted", identity: identityOf(6), received: null };
  const aside = { kind: "diverged", identity: identityOf(4) } as const;

  test("is put aside before anything is received or discarded beside it", () => {
    const known = { ...record, copies: [gone, coming] };
    const discard: DesiredLocal = { kind: "discard", record: known, node: a };
    for (const want of [{ ...receive, record: known }, discard]) {
      for (const there of [live(6), sealed(6)]) expect(chooseCopy([there], want)).toEqual(parted);
      expect(chooseCopy([aside], want)).toEqual({ kind: "absent" });
    }
    expect(chooseCopy([aside, sealed(6)], discard)).toEqual(sealed(6));
  });

  test("is also what a move brought, if it was never made live", () => {
    const known = { ...record, move: null, copies: [gone, coming] };
    const discard: DesiredLocal = { kind: "discard", record: known, node: a };
    const diverge: DesiredLocal = { ...discard, kind: "diverge" };
    const old = { kind: "parted", identity: identityOf(5), received: first };
    for (const want of [{ ...receive, record: known }, discard, diverge]) {
      expect(chooseCopy([received(5, first)], want)).toEqual(old);
    }
    expect(chooseCopy([received(7, first)], discard)).toEqual(received(7, first));
    const own = { ...record, move, copies: [gone, coming] };
    expect(chooseCopy([received(5)], { ...receive, record: own })).toEqual(received(5));
  });

  test("is another one than a fallback that the record knows as well", () => {
    const known = { ...record, copies: [gone, { ...copy, role: "fallback" as const }, coming] };
    const discard: DesiredLocal = { kind: "discard", record: known, node: a };
    expect(chooseCopy([sealed(6)], discard)).toEqual(sealed(6));
  });
});
