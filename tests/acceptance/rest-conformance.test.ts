import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { version } from "../../src/lib/version.ts";
import { useCluster } from "../harness/cluster.ts";
import {
  accepted,
  type Ids,
  noJson,
  notSchema,
  refused,
  tooMany,
  undecodable,
} from "./rest-cases.ts";

const cluster = useCluster({ purpose: "rest-conformance-test" });
const all = "/v1/configuration/datasets";

type Said = {
  readonly status: number;
  readonly headers: string;
  readonly text: string;
  readonly body: unknown;
};

/** One request with curl and the certificates of a host; `more` are options of curl. */
async function say(
  method: string,
  path: string,
  body?: string,
  more: readonly string[] = [],
): Promise<Said> {
  const files = ["cacert cluster.crt", "cert user.crt", "key user.key"].flatMap((pair) => {
    const [option = "", file = ""] = pair.split(" ");
    return [`--${option}`, `/etc/flocker/${file}`];
  });
  const data = body === undefined ? [] : ["--data-binary", "@-"];
  const url = `https://control-service:4523${path}`;
  const how = method === "HEAD" ? ["--head"] : ["-i", "-X", method];
  const ran = await cluster.exec(
    "h2",
    ["curl", "-s", "-m", "30", ...how, ...files, ...data, ...more, url],
    body === undefined ? {} : { input: body },
  );
  const end = ran.stdout.indexOf("\r\n\r\n") + 4;
  const [headers, text] = [ran.stdout.slice(0, end).toLowerCase(), ran.stdout.slice(end)];
  const status = Number(/^http\/1\.1 (\d+)/.exec(headers)?.[1]);
  return { status, headers, text, body: text === "" ? null : JSON.parse(text) };
}

async function ids(): Promise<Ids> {
  const { body } = await say("GET", "/v1/state/nodes");
  if (!Array.isArray(body)) throw new Error("no list of nodes");
  const at = (address: string): string =>
    Object(body.find((node) => Object(node).host === address)).uuid;
  return { one: at("10.77.0.1"), two: at("10.77.0.2"), free: randomUUID() };
}

async function created(fields: object): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await say("POST", all, JSON.stringify(fields));
  expect(status).toBe(201);
  return Object(body);
}

async function listed(path: string, id: unknown): Promise<unknown> {
  const { body } = await say("GET", path);
  return Array.isArray(body) ? body.find((entry) => Object(entry).dataset_id === id) : undefined;
}

/** The configured datasets that are not being deleted. */
async function living(): Promise<readonly unknown[]> {
  const { body } = await say("GET", all);
  return Array.isArray(body) ? body.filter((entry) => Object(entry).deleted === false) : [];
}

function idOf(dataset: unknown): string {
  return String(Object(dataset).dataset_id);
}

describe("POST configuration/datasets", () => {
  test.each(accepted)("$name", async ({ body, echoed }) => {
    const known = await ids();
    const said = await say("POST", all, body(known));
    expect(said).toMatchObject({ status: 201 });
    const plain = { dataset_id: expect.stringMatching(/^[0-9a-f-]{36}$/), primary: known.one };
    const whole = { ...plain, metadata: {}, deleted: false, ...echoed(known) };
    expect(said.body).toEqual(whole);
    expect(await listed(all, idOf(said.body))).toEqual(said.body);
    await say("DELETE", `${all}/${idOf(said.body)}?purge=true`);
  });

  test.each(refused)("$name is refused", async ({ body, answer }) => {
    const before = await living();
    expect(await say("POST", all, body(await ids()))).toMatchObject({ status: 400, body: answer });
    expect(await living()).toEqual(before);
  });

  test.each(tooMany)("$name are refused", async ({ body }) => {
    const said = await say("POST", all, body(await ids()));
    expect(said).toMatchObject({ status: 400, body: { description: notSchema } });
    expect(Object(said.body).errors[0]).toMatch(/ has too many properties$/);
  });

  test.each(noJson)("R25 what is no JSON is a decoding error: %j", async (body) => {
    const decoding = { status: 400, body: { description: undecodable } };
    expect(await say("POST", all, body)).toMatchObject(decoding);
    expect(await say("POST", `${all}/${randomUUID()}`, body)).toMatchObject(decoding);
  });

  test("R3, R4 ids differ, and one is used once, on any node and in any case", async () => {
    const { one, two } = await ids();
    const [first, second] = [await created({ primary: one }), await created({ primary: one })];
    expect(first["dataset_id"]).not.toBe(second["dataset_id"]);
    const dataset_id = idOf(first);
    for (const again of [
      { primary: one, dataset_id },
      { primary: two, dataset_id },
      { primary: one, dataset_id: dataset_id.toUpperCase() },
    ]) {
      expect(await say("POST", all, JSON.stringify(again))).toMatchObject({
        status: 409,
        body: { description: "The provided dataset_id is already in use." },
      });
    }
    for (const made of [first, second]) await say("DELETE", `${all}/${idOf(made)}?purge=true`);
  });

  test("R27 the content type is ignored", async () => {
    const body = JSON.stringify({ primary: (await ids()).one });
    for (const type of ["Content-Type:", "Content-Type: text/plain", "Content-Type: x"]) {
      const said = await say("POST", all, body, ["-H", type]);
      expect(said.status).toBe(201);
      await say("DELETE", `${all}/${idOf(said.body)}?purge=true`);
    }
  });
});

describe("the life of a dataset", () => {
  test("R8 to R12 moved, deleted twice with one answer, and then no more", async () => {
    const { one, two, free } = await ids();
    const made = await created({ primary: one, metadata: { name: "moved" } });
    const path = `${all}/${idOf(made)}`;
    for (const [body, primary] of [
      ["{}", one],
      [JSON.stringify({ primary: one }), one],
      [JSON.stringify({ primary: two }), two],
    ] as const) {
      const said = await say("POST", path, body);
      expect(said).toMatchObject({ status: 200, body: { ...made, primary } });
      expect(await listed(all, idOf(made))).toEqual({ ...made, primary });
    }
    for (const [body, errors] of [
      [{ primary: "x" }, ["u'x' is too short", expect.stringContaining("u'x' does not match '^")]],
      [{ primary: one, x: 1 }, ["Additional properties are not allowed (u'x' was unexpected)"]],
      [{ maximum_size: 67108864 }, [expect.stringContaining("u'maximum_size' was unexpected")]],
    ] as const) {
      const said = await say("POST", path, JSON.stringify(body));
      expect(said).toMatchObject({ status: 400, body: { description: notSchema, errors } });
    }
    const missing = { status: 404, body: { description: "Dataset not found." } };
    const move = JSON.stringify({ primary: two });
    expect(await say("POST", `${all}/${free}`, move)).toMatchObject(missing);
    expect(await say("DELETE", `${all}/${free}`)).toMatchObject(missing);

    const deleted = { ...made, primary: two, deleted: true };
    for (const body of [undefined, '{"junk": true}', undefined]) {
      expect(await say("DELETE", path, body)).toMatchObject({ status: 200, body: deleted });
    }
    for (const body of ["{}", move]) {
      expect(await say("POST", path, body)).toMatchObject({
        status: 405,
        body: { description: "The dataset has been deleted." },
      });
    }
  });

  test("the old tutorial's dataset of 100 MB is attached, listed, moved and deleted", async () => {
    const { one, two } = await ids();
    const metadata = { name: "mongodb_data" };
    const wanted = { primary: one, maximum_size: 104857600, metadata };
    const made = await created(wanted);
    expect(made).toEqual({ ...wanted, dataset_id: made["dataset_id"], deleted: false });
    const id = idOf(made);
    const observed = (primary: string): object => ({
      dataset_id: id,
      primary,
      path: `/flocker/${id}`,
      maximum_size: 104857600,
    });
    const attachedTo = (primary: string): Promise<unknown> =>
      cluster.eventually("attached", 30_000, async () => {
        const found = await listed("/v1/state/datasets", id);
        return Object(found).primary === primary ? found : null;
      });
    expect(await attachedTo(one)).toEqual(observed(one));
    const row = `${id} +0\\.10G +name=mongodb_data +attached ✅ +${one.slice(0, 8)} \\(10.77.0.1\\)`;
    expect(await cluster.run("h1", "flocker-volumes ls")).toMatch(new RegExp(row));

    await say("POST", `${all}/${id}`, JSON.stringify({ primary: two }));
    expect(await attachedTo(two)).toEqual(observed(two));
    await say("DELETE", `${all}/${id}`);
    await cluster.eventually("gone", 30_000, async () => {
      return (await listed("/v1/state/datasets", id)) === undefined;
    });
  });

  test("R15 a dataset that nobody has has neither primary nor path", async () => {
    const { two } = await ids();
    const made = await created({ primary: two, maximum_size: 67108864 });
    const entry = (): Promise<unknown> => listed("/v1/state/datasets", idOf(made));
    const mounted = async (): Promise<boolean> => Object(await entry()).primary === two;
    await cluster.eventually("mounted", 30_000, mounted);
    await cluster.bed.service("stop", "h2", "agent");
    await cluster.run("h1", `flockerctl node declare-dead ${two} --yes`);
    expect(await entry()).toEqual({ dataset_id: made["dataset_id"], maximum_size: 67108864 });

    await cluster.bed.service("start", "h2", "agent");
    await cluster.eventually("mounted again", 30_000, mounted);
  });
});

describe("what is only read", () => {
  test("R1, R26 the version, whatever the body", async () => {
    for (const body of [undefined, '{"junk": true}', "lalala"]) {
      const said = await say("GET", "/v1/version", body);
      expect(said).toMatchObject({ status: 200, text: JSON.stringify({ flocker: version }) });
      expect(said.headers).toMatch(/^content-type: application\/json\r?$/m);
    }
  });

  test("the nodes have an address and an id, and nothing else", async () => {
    const { body } = await say("GET", "/v1/state/nodes");
    const node = { host: expect.any(String), uuid: expect.stringMatching(/^[0-9a-f-]{14}4/) };
    expect(body).toEqual([node, node]);
  });

  test("R23 a node is found by the boot id of its host; others are 404", async () => {
    const { one } = await ids();
    const era = await cluster.run("h1", "cat /proc/sys/kernel/random/boot_id");
    const found = await say("GET", `/v1/state/nodes/by_era/${era}`);
    expect(found).toMatchObject({ status: 200, text: JSON.stringify({ uuid: one }) });
    for (const unknown of [randomUUID(), "nonsense"]) {
      expect(await say("GET", `/v1/state/nodes/by_era/${unknown}`)).toMatchObject({
        status: 404,
        body: { description: "No node found with given era." },
      });
    }
  });

  test.each([
    ["PUT", all, "GET, HEAD, POST"],
    ["DELETE", "/v1/version", "GET, HEAD"],
    ["GET", `${all}/${randomUUID()}`, "POST, DELETE"],
    ["POST", "/v1/state/datasets", "GET, HEAD"],
  ])("R29 %s %s is 405 and says what is allowed", async (method, path, allow) => {
    const said = await say(method, path);
    expect(said).toMatchObject({ status: 405, body: { code: "METHOD_NOT_ALLOWED" } });
    expect(said.headers).toContain(`\nallow: ${allow.toLowerCase()}\r\n`);
  });

  test.each(["/", "/v1", "/v1/nonsense", "/v2/version", "/v1/configuration/leases"])(
    "R29 %s is 404",
    async (path) => {
      expect(await say("GET", path)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    },
  );

  test("R30, HEAD: a task id is ignored, and HEAD is GET without a body", async () => {
    for (const id of ["7c1f0b9c-5b1d-4f0a-9c3e-6d2b1a0f9e88@/2", "nonsense"]) {
      const said = await say("GET", "/v1/version", undefined, ["-H", `X-Eliot-Task-Id: ${id}`]);
      expect(said.status).toBe(200);
    }
    expect(await say("HEAD", "/v1/version")).toMatchObject({ status: 200 });
  });

  test("every answer is one line with a plain content type", async () => {
    const { one } = await ids();
    for (const path of [all, "/v1/state/datasets", "/v1/datasets", `/v1/datasets/${one}`]) {
      const { headers, text } = await say("GET", path);
      expect(text).not.toContain("\n");
      expect(headers).toMatch(/^content-type: application\/json\r?$/m);
    }
  });
});

test("who is not root runs the commands of a host, and is told what only root may", async () => {
  const as = "setpriv --reuid 65534 --regid 65534 --clear-groups";
  expect(await cluster.run("h1", `${as} flockerctl --version`)).toMatch(/^flockerctl \d/);
  const listing = await cluster.exec("h1", [...as.split(" "), "flockerctl", "ls"]);
  expect(listing).toMatchObject({ status: 1, stdout: "" });
  expect(listing.stderr).toMatch(/^Error: [^\n]*Permission denied[^\n]*\n$/);
  const agent = await cluster.exec("h1", [...as.split(" "), "flocker", "agent"]);
  expect(agent).toMatchObject({ status: 1, stderr: expect.stringContaining("must run as root") });
});

test("whoever starts the control service finds it answering", async () => {
  await cluster.bed.service("stop", "h1", "control");
  await cluster.bed.service("start", "h1", "control");
  expect(await say("GET", "/v1/version")).toMatchObject({ status: 200 });
});
