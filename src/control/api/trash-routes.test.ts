import { Check } from "typebox/value";
import { expect, test } from "vitest";
import { parseDatasetId } from "../../domain/ids.ts";
import { assert } from "../../lib/assert.ts";
import { copiesPage, datasetView, trashPage } from "../../protocol/api.ts";
import { absentId, testApi, type TestApi } from "./test-api.ts";
import { nodeA, nodeB } from "./test-control.ts";

async function trashed(): Promise<TestApi & { readonly id: string }> {
  const api = testApi();
  const { body } = await api.say("POST", "/v1/datasets", { primary: nodeA, name: "db" });
  assert(Check(datasetView, body), "the answer is a dataset");
  const id = body.dataset_id;
  await api.say("DELETE", `/v1/configuration/datasets/${id}`);
  api.control.endDeletion(parseDatasetId(id));
  return { ...api, id };
}

test("the trash is listed, restored from, under another name too, and purged", async () => {
  const { say, id } = await trashed();
  const { body } = await say("GET", "/v1/trash?limit=10");
  expect(Check(trashPage, body)).toBe(true);
  expect(body).toMatchObject({ datasets: [{ dataset_id: id, name: "db", phase: "trashed" }] });
  expect(await say("POST", `/v1/trash/${id}/restore`, { as: "db2" })).toMatchObject({
    status: 200,
    body: { dataset_id: id, name: "db2", deleted: false },
  });
  const again = await trashed();
  expect(await again.say("POST", `/v1/trash/${again.id}/restore`)).toMatchObject({ status: 200 });
  const other = await trashed();
  expect(await other.say("POST", `/v1/trash/${other.id}/purge`)).toMatchObject({
    status: 200,
    body: { deleted: true },
  });
});

test("a restore takes nothing but a name, and an id that is known", async () => {
  const { say, id } = await trashed();
  expect(await say("POST", `/v1/trash/${id}/restore`, { to: "x" })).toMatchObject({ status: 400 });
  expect(await say("POST", `/v1/trash/${absentId}/restore`)).toMatchObject({ status: 404 });
  expect(await say("GET", "/v1/trash?limit=0")).toMatchObject({ status: 400 });
});

test("copies are listed, and one is rescued as a new dataset", async () => {
  const { say, id } = await trashed();
  expect(Check(copiesPage, (await say("GET", "/v1/copies")).body)).toBe(true);
  const path = `/v1/datasets/${id}/rescue`;
  expect(await say("POST", path, { node: nodeB, name: "found" })).toMatchObject({
    status: 201,
    body: { name: "found", primary: nodeB },
  });
  expect(await say("POST", path, { node: nodeB })).toMatchObject({ status: 400 });
});
