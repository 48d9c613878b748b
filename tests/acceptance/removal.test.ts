import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "removal" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

async function remove(host: string, name: string): Promise<string> {
  const { status, stderr } = await cluster.exec(host, ["docker", "volume", "rm", name]);
  return status === 0 ? "removed" : stderr;
}

test("docker volume rm is refused while another node's container names it, stopped or not", async () => {
  const line = "echo kept >/data/file; sync /data/file; sleep 1000";
  const run = `docker run -d --name web -v shop:/data --volume-driver flocker ${image}`;
  await cluster.run("h2", `${run} bash -c '${line}'`);
  const second = await rest.node("h2");
  expect(await remove("h1", "shop")).toContain(`Volume shop is in use on node ${second}`);

  await cluster.run("h2", "docker stop -t 1 web");
  const said = await cluster.eventually("the stopped container is named", 20_000, async () => {
    const answer = await remove("h1", "shop");
    return answer.includes("(stopped)") ? answer : null;
  });
  expect(said).toContain(`named by container web (stopped) on node ${second} (10.77.0.2)`);
  expect(said).toContain("docker rm web");

  await cluster.signal("h1", "agent", "KILL");
  await cluster.nodesConnected();
  await cluster.bed.crash("h2");
  expect(await remove("h1", "shop")).toMatch(/not connected.*declare-dead/);

  await cluster.bed.boot("h2");
  await cluster.nodesConnected();
  expect(await remove("h1", "shop")).toContain("container web (stopped)");
  const read = `docker run --rm -v shop:/data --volume-driver flocker ${image} cat /data/file`;
  expect(await cluster.run("h2", read)).toBe("kept");

  await cluster.run("h2", "docker rm web");
  await cluster.eventually("nobody names it", 20_000, async () => {
    return (await remove("h1", "shop")) === "removed";
  });
  await cluster.eventually("no node knows the name", 20_000, async () => {
    const { status } = await cluster.exec("h2", ["docker", "volume", "inspect", "shop"]);
    return status !== 0;
  });
});

const composeFile = `version: "3.8"
services:
  one:
    image: ${image}
    command: bash -c 'echo kept >/data/file; sync /data/file; sleep 1000'
    volumes: ["rows:/data"]
volumes:
  rows: { name: rows, driver: flocker }
`;

test("docker-compose down -v leaves a volume that a stopped container elsewhere names", async () => {
  await cluster.run("h1", "mkdir -p /root/app && cat >/root/app/docker-compose.yml", {
    input: composeFile,
  });
  const compose = (line: string): Promise<string> =>
    cluster.run("h1", `cd /root/app && docker-compose ${line} 2>&1 || true`);
  await compose("up -d");
  await cluster.run("h2", `docker create --name later -v rows:/data ${image} cat /data/file`);
  expect(await compose("down -v")).toMatch(/named by container later \(stopped\) on node/);
  expect(await cluster.run("h2", "docker start -a later")).toBe("kept");

  await cluster.run("h2", "docker rm later");
  await cluster.eventually("it is removed", 30_000, async () => {
    await compose("down -v");
    return (await rest.views()).every(({ name, deleted }) => name !== "rows" || deleted);
  });
});

test("a local volume of a dataset's name is shown wherever people look, until it is removed", async () => {
  await cluster.run("h2", "docker volume create hidden && docker volume create harmless");
  const run = `docker run --rm -v hidden:/data --volume-driver flocker ${image}`;
  await cluster.run("h1", `${run} bash -c 'echo ours >/data/file; sync /data/file'`);
  await cluster.eventually("the condition", 40_000, async () => {
    return (await rest.view("hidden")).condition?.code === "SHADOWED_BY_LOCAL_VOLUME";
  });
  const shown = (): Promise<string> => cluster.run("h1", "docker volume inspect hidden");
  expect((await rest.view("hidden")).phase).toBe("attached");
  expect(await cluster.run("h1", "flockerctl ls")).toMatch(/attached ✅ ⚠ Node .*\(10\.77\.0\.2\)/);
  expect(await cluster.run("h1", "flockerctl show hidden")).toContain("docker volume rm hidden");
  expect(await shown()).toMatch(/"warning": "Node .*\(10\.77\.0\.2\) has a volume hidden/);

  await cluster.run("h2", "docker volume rm hidden");
  await cluster.eventually("the condition is gone", 40_000, async () => {
    return (await rest.view("hidden")).condition === null;
  });
  expect(await shown()).toContain('"warning": null');
  expect(await cluster.run("h2", `${run} cat /data/file`)).toBe("ours");
});
