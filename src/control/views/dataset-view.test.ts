import { expect, test } from "vitest";
import { a, b, LocalBed } from "../core/test-core.ts";
import { ConditionTimes } from "./condition-view.ts";
import { datasetView } from "./dataset-view.ts";

test("a dataset on its way shows its move, the stream, and where it has copies", () => {
  const bed = new LocalBed().heldByA();
  bed.order(b);
  const progress = { stage: "base", bytes: 43, totalBytes: 100, bytesPerSecond: 19 } as const;
  bed.observe(b, { progress });

  const view = datasetView(bed.core.state, bed.record, new ConditionTimes(), 1_000);

  expect(view).toMatchObject({
    phase: "moving",
    node: a,
    fs: "native",
    move: {
      source: a,
      target: b,
      phase: "precopy",
      progress: {
        stage: "base",
        bytes: 43,
        total: 100,
        bytes_per_second: 19,
        ends: "1970-01-01T00:00:04.000Z",
      },
    },
    copies: [
      { node: a, role: "live", settled: true },
      { node: b, role: "replica", settled: false },
    ],
  });
});
