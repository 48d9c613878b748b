import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TrashView } from "../protocol/api.ts";
import type { AskPerson } from "./confirm.ts";
import {
  type TestControlService,
  nodeA,
  nodeB,
  startTestControlService,
  testDataset,
  testNode,
} from "./test-control-service.ts";
import { type Ran, runFlockerctl } from "./test-flockerctl.ts";

const shop = "5540d6e3-392b-4da0-828a-34b724c5bb80";
const other = "a0b1c2d3-392b-4da0-828a-34b724c5bb80";
const since = "2026-11-22T12:00:00.000Z";

let service: TestControlService;
beforeAll(async () => {
  service = await startTestControlService();
});
afterAll(async () => service[Symbol.asyncDispose]());

function deleted(id: string, change: Partial<TrashView> = {}): TrashView {
  return {
    dataset_id: id,
    name: "shop",
    size: 2 ** 30,
    pool: "default",
    primary: nodeA,
    phase: "trashed",
    deleted: since,
    purged: "2026-11-29T12:00:00.000Z",
    ...change,
  };
}

beforeEach(() => {
  service.asked.length = 0;
  service.reply = null;
  service.nodes = [testNode(nodeA, "172.31.1.10"), testNode(nodeB, "172.31.1.11")];
  service.datasets = [
    testDataset(shop, {
      name: "shop",
      copies: [
        { node: nodeA, role: "live", generation: 4, since, settled: true, discarding: false },
        { node: nodeB, role: "diverged", generation: 3, since, settled: true, discarding: false },
      ],
    }),
  ];
  service.trash = [deleted(shop), deleted(other, { name: "old", phase: "retained", purged: null })];
});

const run = (line: string, ask: AskPerson = null): Promise<Ran> =>
  runFlockerctl(service, line, ask);

function posted(): readonly (readonly [string, unknown])[] {
  return service.asked
    .filter(({ method }) => method === "POST")
    .map(({ path, body }) => [path, body] as const);
}

describe("the trash", () => {
  test("is listed with the time of the end of each", async () => {
    const { out } = await run("trash ls");
    expect(out).toMatch(/DATASET +NAME +SIZE +DELETED +PURGED/);
    expect(out).toMatch(new RegExp(`${shop} +shop +1.00G +${since} +2026-11-29T12:00:00.000Z`));
    expect(out).toMatch(new RegExp(`${other} +old +1.00G +${since} +retained`));
    expect(JSON.parse((await run("trash ls --json")).out)).toMatchObject({ datasets: [{}, {}] });
  });

  test("gives back by name or id, under another name with --as", async () => {
    expect(await run("trash restore shop")).toMatchObject({
      status: 0,
      out: `restored ${shop} shop.\n`,
    });
    await run("trash restore 5540 --as shop2");
    expect(posted()).toEqual([
      [`/v1/trash/${shop}/restore`, {}],
      [`/v1/trash/${shop}/restore`, { as: "shop2" }],
    ]);
    expect((await run("trash restore nothing")).err).toContain("no dataset uuids matching nothing");
  });

  test("is emptied after a typed word; what was retained only when it is named", async () => {
    expect((await run("trash empty", () => Promise.resolve("no"))).status).toBe(1);
    expect(posted()).toEqual([]);
    const emptied = await run("trash empty", () => Promise.resolve("empty"));
    expect(emptied).toMatchObject({ status: 0, out: "1 dataset will be destroyed.\n" });
    expect(emptied.err).toContain(`${shop} shop`);
    await run("trash empty old 5540 --yes");
    expect(posted().map(([path]) => path)).toEqual([
      `/v1/trash/${shop}/purge`,
      `/v1/trash/${other}/purge`,
      `/v1/trash/${shop}/purge`,
    ]);
  });

  test("that is empty asks nobody", async () => {
    service.trash = [];
    expect(await run("trash empty")).toMatchObject({
      status: 0,
      out: "0 datasets will be destroyed.\n",
    });
  });

  test("is not emptied where nobody can be asked", async () => {
    expect(await run("trash empty")).toMatchObject({ status: 2 });
  });
});

describe("copies", () => {
  test("are listed with role, node and age, of one dataset or of all", async () => {
    const { out } = await run("copies ls");
    expect(out).toMatch(new RegExp(`${shop} +shop +live +1acbab49 .172.31.1.10. +4 +${since}`));
    expect(out).toMatch(new RegExp(`${shop} +shop +diverged +5f3d2f4e .172.31.1.11. +3 +`));
    expect((await run("copies ls shop")).out).toBe(out);
    expect((await run("copies ls nothing")).status).toBe(1);
  });

  test("are rescued as a new dataset", async () => {
    const rescued = await run("copies rescue shop --node 5f3d --as found");
    expect(rescued.out).toBe(`created ${shop} found of that copy.\n`);
    expect(posted()).toEqual([[`/v1/datasets/${shop}/rescue`, { node: nodeB, name: "found" }]]);
    expect((await run("copies rescue shop --node 5f3d")).err).toContain("must specify --as");
  });
});
