import { describe, expect, test } from "vitest";
import { selectDataset, selectNode } from "./select.ts";
import { nodeA, nodeB, testDataset, testNode } from "./test-control-service.ts";

const first = "5540d6e3-392b-4da0-828a-34b724c5bb80";
const second = "5541d6e3-392b-4da0-828a-34b724c5bb80";

describe("a dataset is found by the beginning of its id", () => {
  const datasets = [
    testDataset(first, { name: "shop" }),
    testDataset(second),
    testDataset("aa40d6e3-392b-4da0-828a-34b724c5bb80", { deleted: true, name: "old" }),
    testDataset("bb40d6e3-392b-4da0-828a-34b724c5bb80", { name: "5540d6e3" }),
  ];

  test("in any case, or by its whole id, or by its name", () => {
    expect(selectDataset(datasets, "5541D").dataset_id).toBe(second);
    expect(selectDataset(datasets, first).dataset_id).toBe(first);
    expect(selectDataset(datasets, "shop").dataset_id).toBe(first);
  });

  test("a deleted one never matches, neither by id nor by name", () => {
    expect(() => selectDataset(datasets, "aa40")).toThrow("no dataset uuids matching aa40");
    expect(() => selectDataset(datasets, "old")).toThrow("no dataset uuids matching old");
  });

  test("two that fit are refused, also a name that looks like another's id", () => {
    expect(() => selectDataset(datasets, "554")).toThrow("554 is ambiguous dataset");
    expect(() => selectDataset(datasets, "5540d6e3")).toThrow("5540d6e3 is ambiguous dataset");
  });
});

describe("a node is found by the beginning of its id", () => {
  const nodes = [
    testNode(nodeA, "10.0.0.1"),
    testNode(nodeB, "10.0.0.2"),
    testNode("1a000000-6c3a-4d9b-8f21-5a4c3b2d1e0f", "10.0.0.3", { status: "removed" }),
  ];

  test("or by its host; removed ones never match", () => {
    expect(selectNode(nodes, "1a").uuid).toBe(nodeA);
    expect(selectNode(nodes, "10.0.0.2").uuid).toBe(nodeB);
    expect(() => selectNode(nodes, "1a0")).toThrow("no node uuids matching 1a0");
    expect(() => selectNode(nodes, "10.0.0.3")).toThrow("no node uuids matching 10.0.0.3");
  });

  test("two that fit are refused", () => {
    const both = [...nodes, testNode("1a111111-6c3a-4d9b-8f21-5a4c3b2d1e0f", "10.0.0.4")];
    expect(() => selectNode(both, "1a")).toThrow("1a is ambiguous node");
  });
});
