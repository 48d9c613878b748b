import { cp, mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseArgs } from "./command.ts";
import { type Target, connectionArgs, findTarget } from "./connection.ts";

let root: string;
const place = (name: string): string => join(root, name);

async function certificates(directory: string, user: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const file of ["cluster.crt", `${user}.crt`, `${user}.key`]) {
    await writeFile(join(directory, file), "");
  }
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "flocker-connection-"));
  await certificates(place("etc"), "user");
  await certificates(place("here"), "user");
  await certificates(place("cluster"), "alice");
  await mkdir(place("empty"));
  await writeFile(join(place("etc"), "agent.yml"), "control-service: {hostname: from-etc}\n");
  await writeFile(join(place("cluster"), "agent.yml"), "control-service: {hostname: from-agent}\n");
  await writeFile(join(place("cluster"), "cluster.yml"), "users: [alice, bob]\n");
  await cp(place("empty"), place("tower"), { recursive: true });
  await writeFile(join(place("tower"), "cluster.yml"), "control_node: from-tower\n");
});
afterAll(async () => rm(root, { recursive: true, force: true }));

function find(
  options: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
  directory = "empty",
): Promise<Target> {
  const surroundings = { env, directory: place(directory), hostDirectory: place("etc") };
  return findTarget(parseArgs(connectionArgs, options), surroundings);
}

describe("certificates are looked for", () => {
  const cases: readonly [string, Parameters<typeof find>, string][] = [
    ["in /etc/flocker last", [{}], "etc/user.crt"],
    ["in the current directory before it", [{}, {}, "here"], "here/user.crt"],
    ["beside cluster.yml, for its first user", [{}, {}, "cluster"], "cluster/alice.crt"],
    ["where the environment says", [{}, { FLOCKER_CERTS_PATH: "../here" }], "here/user.crt"],
    [
      "where the options say, whatever else there is",
      [{ certsPath: "/x", user: "eve" }, { FLOCKER_CERTS_PATH: "y", FLOCKER_USER: "u" }, "cluster"],
      "/x/eve.crt",
    ],
  ];
  test.each(cases)("%s", async (_, args, expected) => {
    const { files } = await find(...args);
    expect(files.certificate).toBe(expected.startsWith("/") ? expected : place(expected));
    expect(files.authority).toBe(join(dirname(files.certificate), "cluster.crt"));
  });

  test("a cluster.yml that is named must be there", async () => {
    await expect(find({ clusterYml: "/none.yml" })).rejects.toThrow(
      /^\/none\.yml cannot be read: No such file or directory$/,
    );
  });

  test("and if they are nowhere, the message says where they were looked for", async () => {
    await expect(find({ user: "nobody" }, {}, "here")).rejects.toThrow(
      `nobody.crt and its .key are neither in ${place("here")} nor in ${place("etc")}`,
    );
  });
});

describe("the host of the control service", () => {
  test("comes from options, environment, agent.yml, cluster.yml, in that order", async () => {
    const env = { FLOCKER_CONTROL_SERVICE: "from-env" };
    expect((await find({ controlService: "opt" }, env, "cluster")).host).toBe("opt");
    expect((await find({}, env, "cluster")).host).toBe("from-env");
    expect((await find({}, {}, "cluster")).host).toBe("from-agent");
    expect((await find({}, {}, "tower")).host).toBe("from-tower");
    expect((await find({}, {}, "here")).host).toBe("from-etc");
    expect((await find({}, {}, "here")).port).toBe(4523);
  });

  test("must be known", async () => {
    const surroundings = { env: {}, directory: place("here"), hostDirectory: place("empty") };
    await expect(findTarget(parseArgs(connectionArgs, {}), surroundings)).rejects.toThrow(
      "must specify --control-service",
    );
  });

  test.each(["h:4523", "https://h", "a b", "h/x"])("is a host alone: not %j", (controlService) => {
    expect(() => parseArgs(connectionArgs, { controlService })).toThrow("not a host");
  });

  test.each(["0", "65536", "x", "-1", "1.5"])("has a port, but not %j", (controlPort) => {
    expect(() => parseArgs(connectionArgs, { controlPort })).toThrow("not a port");
  });
});

test("a broken file is named, in one line", async () => {
  const path = join(place("empty"), "broken.yml");
  await writeFile(path, "users: [a\nb: {");
  await expect(find({ clusterYml: path })).rejects.toThrow(`${path} cannot be read: `);
  await expect(find({ clusterYml: "missing.yml" })).rejects.toThrow("missing.yml cannot be read");
});
