import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type TestCluster, makeTestCluster } from "../../src/ca/test-cluster.ts";
import { loadTls, serverTls } from "../../src/ca/tls.ts";
import { flockerctl, flockerctlContext } from "../../src/cli/flockerctl.ts";
import { runProgram } from "../../src/cli/run-program.ts";
import { createRestApp } from "../../src/control/api/rest-app.ts";
import { TestControl } from "../../src/control/api/test-control.ts";
import { silentLogger } from "../../src/lib/log.ts";

let cluster: TestCluster;
let app: ReturnType<typeof createRestApp>;
let port: string;

beforeEach(async () => {
  cluster = await makeTestCluster();
  const tls = serverTls(await loadTls(cluster.control, "control"), "TLSv1.2");
  app = createRestApp({ control: new TestControl(), log: silentLogger, tls });
  await app.listen({ host: "127.0.0.1", port: 0 });
  const address = app.server.address();
  port = typeof address === "object" && address !== null ? String(address.port) : "";
});
afterEach(async () => {
  await app.close();
  await cluster[Symbol.asyncDispose]();
});

type Ran = { readonly status: number; readonly out: string; readonly err: string };

async function run(line: string): Promise<Ran> {
  const printed = { out: "", err: "" };
  using clients = new DisposableStack();
  const target = ["--control-service", "127.0.0.1", "--control-port", port];
  const status = await runProgram(
    flockerctl,
    ["--certs-path", cluster.directory, ...target, ...line.split(" ")],
    {
      terminal: false,
      out: (text) => void (printed.out += text),
      err: (text) => void (printed.err += text),
    },
    (globals, output) => {
      const surroundings = { env: {}, directory: "/nowhere", hostDirectory: "/nowhere" };
      const world = {
        surroundings,
        ask: null,
        opened: (client: Disposable): void => void clients.use(client),
      };
      return flockerctlContext(world, globals, output);
    },
  );
  return { status, ...printed };
}

describe("flockerctl and the REST API, over TLS", () => {
  test("create, list, show, move, destroy", async () => {
    expect(await run("create -n 1ac -s 100MB -m name=shop")).toMatchObject({ status: 0, err: "" });
    expect((await run("ls")).out).toMatch(
      /^0{8}-\S+ {3}0\.10G {2} name=shop {3}pending ⌛ {3}1acbab49 \(192\.168\.1\.10\) $/m,
    );
    expect((await run("show shop")).out).toContain("size         104857600 bytes\n");
    expect(await run("move -d shop -t 5f3")).toMatchObject({ status: 0, err: "" });
    expect((await run("ls")).out).toContain("5f3d2f4e (192.168.1.11)");
    expect(await run("destroy -d 0000")).toMatchObject({ status: 0, err: "" });
    expect(await run("destroy -d 0000")).toMatchObject({ status: 1, out: "" });
  });

  test("create with new options, and --json as the API gives it", async () => {
    const created = await run("create -n 1ac --name shop --fs xfs --reclaim retain -s 1G --json");
    expect(created).toMatchObject({ status: 0, err: "" });
    expect(JSON.parse(created.out)).toMatchObject({
      name: "shop",
      fs: "xfs",
      reclaim: "retain",
      size: 2 ** 30,
    });
    expect(JSON.parse((await run("destroy -d shop --purge --json")).out)).toMatchObject({
      deleted: true,
    });
  });

  test.each([
    ["create -n 1ac -s 1", /1 bytes were asked for/],
    ["create -n 1ac -s 32M", /67108864/],
    ["create -n 9", /no node uuids matching 9/],
    ["node declare-dead 1ac --yes", /still answers/],
    ["node replace 1ac --yes", /no clash/],
  ])("%s is refused in the API's words, with exit status 1", async (line, message) => {
    const { status, out, err } = await run(line);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(message);
  });

  test("the nodes", async () => {
    expect((await run("list-nodes")).out).toBe(
      "SERVER     ADDRESS      \n1acbab49   192.168.1.10 \n5f3d2f4e   192.168.1.11 \n\n",
    );
    expect(await run("node declare-dead 1ac --yes --force")).toMatchObject({ status: 0 });
    expect(await run("node remove 1ac --yes")).toMatchObject({ status: 0 });
    expect((await run("version")).out).toMatch(/^flockerctl \S+\ncontrol service \S+\n$/);
  });
});
