import { describe, expect, test } from "vitest";
import { Check } from "typebox/value";
import { parseDatasetId } from "../../domain/ids.ts";
import { assert } from "../../lib/assert.ts";
import { version } from "../../lib/version.ts";
import { datasetPage, datasetView, nodeList } from "../../protocol/api.ts";
import { absentId, configuration, testApi } from "./test-api.ts";
import { eraA, nodeA, nodeB } from "./test-control.ts";

const all = configuration;
const absent = absentId;
const ofType = (value: string, type: string): string => `${value} is not of type ${type}`;

describe("datasets of the configuration", () => {
  test("R1 the version", async () => {
    expect(await testApi().say("GET", "/v1/version")).toMatchObject({
      status: 200,
      body: { flocker: version },
    });
  });

  test("R2, R3, R5 a dataset is created as it was asked for and echoed", async () => {
    const { say } = testApi();
    const first = await say("POST", all, { primary: nodeA });
    const second = await say("POST", all, { primary: nodeA.toUpperCase(), maximum_size: null });
    expect(first.body).toEqual({
      dataset_id: expect.stringMatching(/^[a-f0-9-]{36}$/),
      primary: nodeA,
      metadata: {},
      deleted: false,
    });
    expect(second.body).toMatchObject({ primary: nodeA });
    expect(second.body).not.toMatchObject({ dataset_id: Object(first.body).dataset_id });
    expect(second.body).not.toHaveProperty("maximum_size");
    const metadata = { name: "mongodb_data" };
    const third = await say("POST", all, { primary: nodeB, metadata, maximum_size: 104857600 });
    expect(third.body).toMatchObject({ metadata, maximum_size: 104857600 });
    const listed = await say("GET", all);
    expect(listed).toMatchObject({ status: 200, body: { length: 3 } });
    expect(listed.body).toContainEqual(third.body);
  });

  test("R4 an id is used once, in any case, on any node, also after its deletion", async () => {
    const { say, control } = testApi();
    const dataset_id = "abcdefab-cdef-4abc-8def-abcdefabcdef";
    expect(
      (await say("POST", all, { primary: nodeA, dataset_id: dataset_id.toUpperCase() })).body,
    ).toMatchObject({ dataset_id });
    const again = async (primary: string, id: string): Promise<unknown> =>
      say("POST", all, { primary, dataset_id: id });
    const refused = {
      status: 409,
      body: { description: "The provided dataset_id is already in use." },
    };
    expect(await again(nodeA, dataset_id)).toMatchObject(refused);
    expect(await again(nodeB, dataset_id)).toMatchObject(refused);
    expect(await again(nodeA, dataset_id.toUpperCase())).toMatchObject(refused);
    await say("DELETE", `${all}/${dataset_id}`);
    control.endDeletion(parseDatasetId(dataset_id));
    expect(await again(nodeA, dataset_id)).toMatchObject(refused);
  });

  test("R6, R7 a wrong body creates nothing", async () => {
    const { say } = testApi();
    await say("POST", all, { primary: nodeA, junk: 1 });
    await say("POST", all, {});
    expect((await say("GET", all)).body).toEqual([]);
  });

  test("R8, R9, R10 a move answers with the dataset, where it should be", async () => {
    const { say } = testApi();
    await say("POST", all, { primary: nodeA, dataset_id: absent });
    const one = `${all}/${absent}`;
    for (const [given, primary] of [
      [{}, nodeA],
      [{ primary: nodeB }, nodeB],
      [{ primary: nodeB }, nodeB],
      [{ primary: nodeA }, nodeA],
    ] as const) {
      expect(await say("POST", one, given)).toMatchObject({ status: 200, body: { primary } });
    }
    expect(await say("POST", `${all}/${nodeA}`, { primary: nodeB })).toMatchObject({
      status: 404,
      body: { description: "Dataset not found.", code: "DATASET_NOT_FOUND" },
    });
    expect(await say("POST", `${all}/no-id`, {})).toMatchObject({ status: 404 });
    expect(await say("POST", one, { primary: "nope" })).toMatchObject({ status: 400 });
    expect(await say("POST", one, { primary: nodeB, x: 1 })).toMatchObject({ status: 400 });
    expect(await say("POST", one, { metadata: {} })).toMatchObject({ status: 400 });
  });

  test("ids in the path are taken in either case", async () => {
    const { say } = testApi();
    const dataset_id = "abcdefab-cdef-4abc-8def-abcdefabcdef";
    await say("POST", all, { primary: nodeA, dataset_id });
    expect(await say("POST", `${all}/${dataset_id.toUpperCase()}`, {})).toMatchObject({
      status: 200,
      body: { dataset_id },
    });
  });

  test("a primary that never joined is refused", async () => {
    const { say } = testApi();
    const refused = {
      status: 400,
      body: { description: "The provided primary node is not part of the cluster." },
    };
    expect(await say("POST", all, { primary: absent })).toMatchObject(refused);
    await say("POST", all, { primary: nodeA, dataset_id: absent });
    expect(await say("POST", `${all}/${absent}`, { primary: absent })).toMatchObject(refused);
  });

  test("R11, R12 a deleted dataset says so each time and cannot be moved", async () => {
    const { say, control } = testApi();
    const one = `${all}/${absent}`;
    const { body } = await say("POST", all, { primary: nodeA, dataset_id: absent });
    const deleted = { ...Object(body), deleted: true };
    expect(await say("DELETE", one)).toMatchObject({ status: 200, body: deleted });
    expect(await say("DELETE", one)).toMatchObject({ status: 200, body: deleted });
    expect((await say("GET", all)).body).toEqual([deleted]);
    control.endDeletion(parseDatasetId(absent));
    expect((await say("GET", all)).body).toEqual([]);
    expect(await say("DELETE", one)).toMatchObject({ status: 200, body: deleted });
    for (const given of [{}, { primary: nodeB }]) {
      expect(await say("POST", one, given)).toMatchObject({
        status: 405,
        body: { description: "The dataset has been deleted.", code: "DATASET_DELETED" },
      });
    }
    expect(await say("DELETE", `${all}/${nodeA}`)).toMatchObject({ status: 404 });
  });

  test("a deletion follows the policy of the dataset, and purge skips the trash", async () => {
    const { say, control } = testApi();
    const [kept, gone] = [absent, absent.replace("9", "8")];
    for (const dataset_id of [kept, gone]) await say("POST", all, { primary: nodeA, dataset_id });
    await say("DELETE", `${all}/${kept}?purge=false`);
    await say("DELETE", `${all}/${gone}?purge=true`);
    expect(await say("DELETE", `${all}/${gone}?purge=yes`)).toMatchObject({ status: 400 });
    expect(control.known.get(parseDatasetId(kept))?.deletion?.reclaim).toBe("trash");
    expect(control.known.get(parseDatasetId(gone))?.deletion?.reclaim).toBe("delete");
  });
});

describe("what agents report", () => {
  test("R15 mounted datasets come first", async () => {
    const { say, control } = testApi();
    const loose = { dataset_id: nodeB, maximum_size: 1073741824 };
    const mounted = { dataset_id: nodeA, primary: nodeA, path: `/flocker/${nodeA}` };
    expect((await say("GET", "/v1/state/datasets")).body).toEqual([]);
    control.observed = [loose, mounted];
    expect(await say("GET", "/v1/state/datasets")).toMatchObject({
      status: 200,
      body: [mounted, loose],
    });
  });

  test("R23 nodes, and the node of a boot", async () => {
    const { say } = testApi();
    expect((await say("GET", "/v1/state/nodes")).body).toEqual([
      { host: "192.168.1.10", uuid: nodeA },
      { host: "192.168.1.11", uuid: nodeB },
    ]);
    const byEra = "/v1/state/nodes/by_era";
    expect(await say("GET", `${byEra}/${eraA}`)).toMatchObject({
      status: 200,
      body: { uuid: nodeA },
    });
    for (const era of [absent, "no-uuid"]) {
      expect(await say("GET", `${byEra}/${era}`)).toMatchObject({
        status: 404,
        body: { description: "No node found with given era." },
      });
    }
  });
});

describe("resources that are new", () => {
  test("a dataset is created with all options and shown joined", async () => {
    const { say } = testApi();
    const asked = { primary: nodeA, name: "db", size: 67108864, fs: "ext4", reclaim: "retain" };
    const made = await say("POST", "/v1/datasets", asked);
    expect(made).toMatchObject({
      status: 201,
      body: { name: "db", metadata: { name: "db" }, reclaim: "retain", maximum_size: 67108864 },
    });
    const id = Check(datasetView, made.body) ? made.body.dataset_id : "";
    expect((await say("GET", `/v1/datasets/${id}`)).body).toEqual(made.body);
    expect(await say("POST", "/v1/datasets", asked)).toMatchObject({
      status: 409,
      body: { code: "NAME_IN_USE" },
    });
    expect(await say("GET", `/v1/datasets/${absent}`)).toMatchObject({ status: 404 });
  });

  test.each([
    [{ name: "a", metadata: { name: "b" } }, "`name` and `metadata.name` are the same thing"],
    [{ fs: "zfs" }, "u'zfs' is not one of ['ext4', 'xfs']"],
    [{ reclaim: "never" }, "is not one of ['trash', 'delete', 'retain']"],
    [{ size: "1e9" }, ofType("u'1e9'", "'integer', 'null'")],
    [{ colour: "red" }, "Additional properties are not allowed (u'colour' was unexpected)"],
  ])("POST /v1/datasets refuses %j", async (options, expected) => {
    const said = await testApi().say("POST", "/v1/datasets", { primary: nodeA, ...options });
    expect(said.status).toBe(400);
    expect(JSON.stringify(said.body)).toContain(expected);
  });

  test("the list is paged", async () => {
    const { say } = testApi();
    for (let n = 0; n < 5; n += 1) await say("POST", all, { primary: nodeA });
    const ids: string[] = [];
    let after = "";
    for (let pages = 1; pages <= 3; pages += 1) {
      const { body } = await say("GET", `/v1/datasets?limit=2${after}`);
      assert(Check(datasetPage, body), "the answer is a page");
      ids.push(...body.datasets.map(({ dataset_id }) => dataset_id));
      expect(body.next === null).toBe(pages === 3);
      after = `&after=${body.next ?? ""}`;
    }
    expect(new Set(ids).size).toBe(5);
    for (const limit of ["0", "1001", "x", "1&limit=2"]) {
      expect(await say("GET", `/v1/datasets?limit=${limit}`)).toMatchObject({ status: 400 });
    }
  });

  test("a person's word about a node", async () => {
    const { say } = testApi();
    const { body } = await say("GET", "/v1/nodes");
    expect(Check(nodeList, body)).toBe(true);
    const node = `/v1/nodes/${nodeA}`;
    expect(await say("POST", `${node}/declare-dead`)).toMatchObject({
      status: 409,
      body: { code: "NODE_ALIVE" },
    });
    expect(await say("POST", `${node}/declare-dead`, { force: true })).toMatchObject({
      status: 200,
      body: { node: { status: "dead" }, overridden: [] },
    });
    expect(await say("POST", `${node}/declare-dead`, { force: 1 })).toMatchObject({ status: 400 });
    expect(await say("POST", `${node}/remove`, {})).toMatchObject({ status: 200 });
    expect(await say("POST", `${node}/remove`)).toMatchObject({ status: 200 });
    expect(await say("POST", `${node}/replace`, {})).toMatchObject({ status: 409 });
    expect(await say("POST", `/v1/nodes/${absent}/remove`)).toMatchObject({ status: 404 });
    expect(await say("POST", "/v1/nodes/h1/remove")).toMatchObject({ status: 404 });
  });
});
