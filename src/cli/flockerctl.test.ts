import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { DatasetView, MoveView } from "../protocol/api.ts";
import type { AskPerson } from "./confirm.ts";
import { flockerctl } from "./flockerctl.ts";
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
const gone = "c0b1c2d3-392b-4da0-828a-34b724c5bb80";
const condition = {
  code: "WAITING_FOR_NODE",
  message: "node 5f3d2f4e is silent",
  since: "2026-11-22T12:00:00Z",
  attempt: 2,
  next_retry: null,
  severity: "pending",
} as const;

const working = { ...condition, code: "WORKING" };
const underWay: MoveView = {
  id: gone,
  source: nodeA,
  target: nodeB,
  phase: "precopy",
  since: condition.since,
  progress: { stage: "base", bytes: 43, total: 100, bytes_per_second: 5, ends: condition.since },
};

let service: TestControlService;

beforeAll(async () => {
  service = await startTestControlService();
});
afterAll(async () => service[Symbol.asyncDispose]());
beforeEach(() => {
  service.asked.length = 0;
  service.reply = null;
  service.nodes = [testNode(nodeA, "172.31.1.10"), testNode(nodeB, "172.31.1.11")];
  service.datasets = [
    testDataset(shop, {
      name: "shop",
      metadata: { name: "shop" },
      size: 100 * 2 ** 30,
      phase: "attached",
      node: nodeA,
      claim: { node: nodeA, generation: 3, phase: "held" },
    }),
    testDataset(other, { primary: gone }),
    testDataset(gone, { deleted: true, phase: "trashed" }),
  ];
});

function hoursAgo(hours: number): string {
  return new Date(Date.now() - hours * 3_600_000).toISOString();
}

const run = (line: string, ask: AskPerson = null): Promise<Ran> =>
  runFlockerctl(service, line, ask);

describe("list", () => {
  test("prints the original's table, to the byte", async () => {
    expect(await run("ls")).toEqual({
      status: 0,
      err: "",
      out:
        "DATASET                                SIZE      METADATA    STATUS       SERVER                 \n" +
        `${shop}   100.00G   name=shop   attached ✅   1acbab49 (172.31.1.10) \n` +
        `${other}   10.00G                pending ⌛    <missing>              \n\n`,
    });
  });

  test.each<[string, Partial<DatasetView>, string]>([
    ["pending says why", { phase: "pending", condition }, "pending ⌛ node 5f3d2f4e is silent "],
    ["an error says why", { phase: "error", condition }, "error ❌ node 5f3d2f4e is silent "],
    [
      "a move says from where and to where",
      { phase: "moving", node: nodeB },
      "pending ⌛ moving from 5f3d2f4e to 1acbab49 ",
    ],
    [
      "a move over the network says how far it is",
      { phase: "moving", node: nodeA, move: underWay, condition: working },
      "moving ⌛ 43 % to 5f3d2f4e ",
    ],
    [
      "a move that waits says for what",
      { phase: "moving", move: { ...underWay, progress: null }, condition },
      "moving ⌛ to 5f3d2f4e: node 5f3d2f4e is silent ",
    ],
    ["nobody has it", { phase: "detached" }, " detached "],
    ["its volume goes away", { phase: "deleting", deleted: true }, " deleting "],
  ])("%s", async (_, change, text) => {
    service.datasets = [testDataset(shop, change)];
    expect((await run("list")).out).toContain(text);
  });

  test("deleted ones show only when asked for; ids are whole with --long", async () => {
    expect((await run("ls")).out).not.toContain(gone);

    const { out } = await run("ls -d -l -h");
    expect(out).toContain(`${gone}   10.00G                deleted`);
    expect(out).toContain(`${nodeA} (172.31.1.10)`);
  });

  test("--json is the body of the API, all pages as one, in one line", async () => {
    const { out } = await run("ls --json");
    expect(out.split("\n")).toHaveLength(2);
    expect(JSON.parse(out)).toEqual({ datasets: service.datasets, next: null });
  });
});

describe("list-nodes", () => {
  test("prints servers and addresses; who is away is said on standard error", async () => {
    const lastSeen = "2026-11-22T12:00:00Z";
    service.nodes = [
      testNode(nodeA, "172.31.1.10"),
      testNode(nodeB, "172.31.1.11", { status: "silent", last_seen: lastSeen }),
      testNode(shop, "172.31.1.12", { status: "removed" }),
    ];
    expect(await run("status")).toEqual({
      status: 0,
      out: "SERVER     ADDRESS     \n1acbab49   172.31.1.10 \n5f3d2f4e   172.31.1.11 \n\n",
      err: `Node 5f3d2f4e (172.31.1.11) does not answer, last seen ${lastSeen}\n`,
    });
    expect((await run("list-nodes --long")).out).toContain(nodeB);
  });
});

describe("show", () => {
  test("tells all that is known, by id or name", async () => {
    service.datasets = [testDataset(shop, { name: "shop", condition, users: [] })];
    const { out } = await run("show shop");
    expect(out).toContain(`dataset      ${shop}\n`);
    expect(out).toContain("size         10737418240 bytes (none was asked for)\n");
    expect(out).toContain("condition    WAITING_FOR_NODE: node 5f3d2f4e is silent\n");
    expect(JSON.parse((await run("show 5540 --json")).out)).toEqual(service.datasets[0]);
  });

  test("tells where a dataset has copies, and how far a move is", async () => {
    const copy = { node: nodeA, role: "live", generation: 3, since: condition.since } as const;
    const copies = [{ ...copy, settled: true, discarding: false }];
    service.datasets = [testDataset(shop, { phase: "moving", move: underWay, copies })];
    const { out } = await run("show 5540");
    expect(out).toContain(`move         precopy from ${nodeA} (172.31.1.10) to ${nodeB} (172.31`);
    expect(out).toContain(
      "progress     bulk: 43 bytes of about 100 (43 %), 5 bytes/s, until about 2026-11-22T12:00:00Z\n",
    );
    expect(out).toContain(`copy         live of generation 3 since ${condition.since} on ${nodeA}`);
  });
});

describe("changing requests", () => {
  test("create with the old options uses the old resource, metadata always sent", async () => {
    const created = await run("create -n 1ac -s 1G");
    expect(created.status).toBe(0);
    expect(created.out).toBe(
      "created dataset in configuration, manually poll state with 'flocker-volumes list' to see " +
        "it show up.\n\n",
    );
    expect(service.asked.at(-1)).toEqual({
      method: "POST",
      path: "/v1/configuration/datasets",
      body: { primary: nodeA, metadata: {}, maximum_size: 2 ** 30 },
    });
  });

  test("create with a new option uses the new one; a notice is talk", async () => {
    const created = await run("create -n 5f -m a=b --name shop --pool ssd -s 100MB");
    expect(created).toMatchObject({ status: 0, err: "rounded up\n" });
    expect(service.asked.at(-1)).toEqual({
      method: "POST",
      path: "/v1/datasets",
      body: { primary: nodeB, metadata: { a: "b" }, name: "shop", pool: "ssd", size: 104_857_600 },
    });
  });

  test("two names that differ are refused before anything is asked", async () => {
    const created = await run("create -n 5f -m name=a --name b");
    expect(created).toMatchObject({ status: 2, out: "" });
    expect(service.asked).toEqual([]);
  });

  test.each(["--destination", "-t", "--target"])("move by prefixes, with %s", async (option) => {
    expect((await run(`move -d 5540 ${option} 5f3d`)).out).toBe(
      "initiated move of dataset, please check state to observe it actually move.\n\n",
    );
    expect(service.asked.at(-1)).toEqual({
      method: "POST",
      path: `/v1/configuration/datasets/${shop}`,
      body: { primary: nodeB },
    });
  });

  test("destroy keeps in the trash, with --purge it does not", async () => {
    expect((await run("destroy -d 5540")).out).toBe(
      "marked dataset as deleted. poll list manually to see it disappear.\n\n",
    );
    expect(service.asked.at(-1)?.path).toBe(`/v1/configuration/datasets/${shop}`);
    await run("destroy -d 5540 --purge");
    expect(service.asked.at(-1)?.path).toBe(`/v1/configuration/datasets/${shop}?purge=true`);
  });

  test("a deleted dataset is not found by its id", async () => {
    expect(await run(`destroy -d ${gone}`)).toEqual({
      status: 1,
      out: "",
      err: `Error: no dataset uuids matching ${gone}\n`,
    });
  });
});

describe("a person's word about a node", () => {
  test("declare-dead shows what is lost before it asks, and asks for the host", async () => {
    let shown = "";
    const said = await run("node declare-dead 1ac", async (question) => {
      shown = question;
      return "172.31.1.10\n";
    });
    expect(shown).toContain("Type 172.31.1.10");
    expect(said.err).toContain(`${shop} shop (not in use, claim 3): what was not synced is lost`);
    expect(said).toMatchObject({ status: 0, out: `declared ${nodeA} dead: 1 claim ended.\n` });
    expect(service.asked.at(-1)).toMatchObject({ path: `/v1/nodes/${nodeA}/declare-dead` });
  });

  test.each(["declare-dead", "remove", "replace"])(
    "%s does nothing on another answer, nor unasked without --yes",
    async (verb) => {
      expect(await run(`node ${verb} 1ac`, async () => "yes")).toMatchObject({ status: 1 });
      expect(await run(`node ${verb} 1ac`)).toMatchObject({ status: 2 });
      expect(service.asked.filter(({ method }) => method === "POST")).toEqual([]);

      expect(await run(`node ${verb} 1ac --yes`)).toMatchObject({ status: 0 });
      expect(service.asked.at(-1)?.path).toBe(`/v1/nodes/${nodeA}/${verb}`);
    },
  );

  test("remove says what the node has, and that its claims end", async () => {
    const said = await run("node remove 1ac --yes");
    expect(said.err).toContain("holds 1 dataset");
    expect(said.err).toContain(`${shop} shop (not in use, claim 3): what was not synced is lost`);
    expect((await run("node remove 5f3 --yes")).err).toContain("holds no dataset");
  });

  test("says of disks of a node's own what is left elsewhere, and how old it is", async () => {
    const copy = { generation: 3, settled: true, discarding: false };
    const live = { ...copy, node: nodeA, role: "live", since: hoursAgo(9) } as const;
    const fallback = { ...copy, node: nodeB, role: "fallback", since: hoursAgo(5) } as const;
    service.datasets = [
      testDataset(shop, { name: "shop", copies: [live, fallback] }),
      testDataset(other, { copies: [live] }),
      testDataset(gone, { name: "old", deleted: true, phase: "trashed", copies: [live] }),
    ];
    const { err } = await run("node declare-dead 1ac --yes");
    expect(err).toContain(
      `${shop} shop (not in use): 5f3d2f4e (172.31.1.11) has a fallback that is 5 h old ` +
        `(${fallback.since}); what was written after that is lost`,
    );
    expect(err).toContain(`${other} (no name) (not in use): no other node has a copy; nobody can`);
    expect(err).toContain(`${gone} old (deleted): its volume is on this node alone`);
    expect(err).toContain("is put aside there: flockerctl copies ls");
    expect(err).not.toContain("may be destroyed as a whole");
    service.nodes = [testNode(nodeA, "h1"), testNode(nodeB, "h2", { status: "dead" })];
    expect((await run("node declare-dead h1 --yes")).err).toContain(
      `${shop} shop (not in use): no other node has a copy`,
    );
  });

  test("--force is passed on", async () => {
    await run("node declare-dead 1ac --yes --force");
    expect(service.asked.at(-1)?.body).toEqual({ force: true });
  });
});

describe("errors", () => {
  test("of the control service are shown in its words, with --json as its body", async () => {
    const description = "Node is alive; add --force.";
    service.reply = { status: 409, body: { description, code: "NODE_ALIVE", errors: ["Really."] } };
    const message = `${description} Really.`;

    expect(await run("ls")).toEqual({ status: 1, out: "", err: `Error: ${message}\n` });
    expect(JSON.parse((await run("ls --json")).err)).toMatchObject({
      description: message,
      code: "NODE_ALIVE",
    });
  });

  test("something that does not fit the schema is not taken for an answer", async () => {
    service.reply = { status: 200, body: [{ some: "thing" }] };
    expect((await run("ls")).err).toContain("answered in an unknown form");
    service.reply = { text: "<html>" };
    expect((await run("ls")).err).toContain("without JSON");
  });

  test.each([
    ["create", "must specify --node"],
    ["destroy", "must specify --dataset"],
    ["move -d 5540", "must specify --destination"],
    ["create -n 1ac -m nonsense", "malformed metadata specification 'nonsense'"],
    ["create -n 1ac -s 0", "a size of '0' holds nothing"],
    ["create -n 1ac --fs ntfs", "no such file system: 'ntfs' (there are ext4, xfs)"],
    ["create -n 1ac --reclaim x", "no such reclaim policy: 'x'"],
    ["nonsense", "unknown command 'nonsense'"],
    ["ls --nonsense", "unknown option '--nonsense'"],
    ["node", "Please specify a command."],
    ["show", "missing required argument 'dataset'"],
    ["show ", "<dataset> is empty"],
    ["destroy --dataset ", "--dataset is empty"],
    ["help nonsense", "unknown command 'nonsense'"],
    ["node help nonsense", "unknown command 'nonsense'"],
    ["--cluster-yml  ls", "--cluster-yml is empty"],
  ])("%s is wrong usage: exit status 2 and a hint", async (line, message) => {
    const { status, out, err } = await run(line);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain(message);
    expect(err).toContain("Try --help for usage details.\n");
  });
});

test("every command has a help with examples", async () => {
  for (const { name } of flockerctl.commands) {
    const { status, out } = await run(`${name} --help`);
    expect(status).toBe(0);
    expect(out).toContain(`Examples:\n  $ flockerctl `);
  }
});

describe("version", () => {
  test("tells both versions, and its own alone when nobody answers", async () => {
    const directory = await mkdtemp(join(tmpdir(), "flocker-version-"));
    await writeFile(join(directory, "empty"), "");

    expect((await run("version")).out).toMatch(/^flockerctl 2.*\ncontrol service 2.0.0-test\n$/);
    const alone = await run(`--certs-path ${directory} version --json`);
    expect(alone.status).toBe(0);
    expect(JSON.parse(alone.out)).toMatchObject({ flocker: null });
    await rm(directory, { recursive: true });
  });
});
