import { expect, test } from "vitest";
import { attachableTable } from "./attachable-table.ts";
import { decideAttachable } from "./decide.ts";

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
