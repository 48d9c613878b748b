import { expect, test } from "vitest";
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
