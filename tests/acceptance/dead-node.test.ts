import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "dead-node" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

const mount =
  "curl -s -m 5 --unix-socket /run/docker/plugins/flocker/flocker.sock http://p/VolumeDriver.Mount";

const run = (name: string, line: string, how = "--rm"): string =>
  `docker run ${how} -v ${name}:/data --volume-driver flocker ${image} bash -c '${line}'`;

test("a rebooted host mounts again under a higher generation, and what was synced is there", async () => {
  await cluster.run("h2", run("boot", "echo kept >/data/file; sync /data/file", "--name boot"));
  const before = (await rest.view("boot")).claim?.generation ?? 0;

  await cluster.bed.crash("h2");
  await cluster.bed.boot("h2");
  await cluster.nodesConnected();

  expect(await cluster.run("h2", run("boot", "cat /data/file"))).toBe("kept");
  expect((await rest.view("boot")).claim?.generation).toBeGreaterThan(before);
});

test("a dead host keeps its volume until a person says that it is dead; then it moves", async () => {
  const line = "echo synced >/data/file; sync /data/file; sleep 1000";
  await cluster.run("h2", run("pinned", line, "-d --name pinned"));
  await cluster.eventually("the file", 20_000, async () => {
    const { stdout } = await cluster.exec("h2", ["docker", "exec", "pinned", "cat", "/data/file"]);
    return stdout === "synced\n";
  });
  const dead = await rest.node("h2");
  await cluster.bed.crash("h2");

  const waiting = cluster.run("h1", run("pinned", "cat /data/file"));
  await cluster.eventually("the condition names the way out", 30_000, async () => {
    return (await rest.view("pinned")).condition?.message.includes("declare-dead") ?? false;
  });
  expect((await rest.view("pinned")).claim?.node).toBe(dead);

  const said = await cluster.run("h1", `flockerctl node declare-dead ${dead} --yes 2>&1`);
  expect(said).toMatch(/pinned/);
  expect(await waiting).toBe("synced");

  await cluster.bed.boot("h2");
  await cluster.nodesConnected();
  const view = await rest.view("pinned");
  expect(view.claim?.node).toBe(await rest.node("h1"));
  const mounts = await cluster.run("h2", `grep -c ${view.dataset_id} /proc/self/mountinfo || true`);
  expect(mounts).toBe("0");
  expect(await cluster.run("h2", run("pinned", "cat /data/file"))).toBe("synced");
});

test("a paused host that was declared dead cuts its volume and kills its container", async () => {
  const line =
    "echo synced >/data/file; sync /data/file; while :; do date >>/data/late; sleep 0.1; done";
  await cluster.run("h2", run("taken", line, "-d --name taken"));
  await cluster.eventually("the file", 20_000, async () => {
    const { stdout } = await cluster.exec("h2", ["docker", "exec", "taken", "cat", "/data/file"]);
    return stdout === "synced\n";
  });
  const dead = await rest.node("h2");
  await cluster.bed.pause("h2");
  await cluster.eventually("the silence is seen", 60_000, async () => {
    const command = ["flockerctl", "node", "declare-dead", dead, "--yes"];
    return (await cluster.exec("h1", command)).status === 0;
  });
  expect(await cluster.run("h1", run("taken", "cat /data/file"))).toBe("synced");

  await cluster.bed.resume("h2");

  await cluster.eventually("its container was killed", 60_000, async () => {
    const state = await cluster.run("h2", "docker inspect -f {{.State.ExitCode}} taken");
    return state === "137";
  });
  expect(await cluster.run("h2", run("taken", "cat /data/file"))).toBe("synced");
});

test("a clone with the same certificate is a clash: it gets no claim and changes nothing", async () => {
  await cluster.run("h2", run("cloned", "echo original >/data/file; sync /data/file"));
  const holder = (await rest.view("cloned")).claim?.node;

  expect(await cluster.bed.clone("h2")).toBe("h3");

  await cluster.eventually("the clash is shown", 60_000, async () => {
    return (await rest.nodeViews()).some(({ status }) => status === "clash");
  });
  const answer = await cluster.run("h3", `${mount} -d '{"Name":"cloned","ID":"x"}' || true`);
  expect(answer).not.toContain("/flocker/");
  const view = await rest.view("cloned");
  expect(view.claim?.node).toBe(holder);
  const mounts = await cluster.run("h3", `grep -c ${view.dataset_id} /proc/self/mountinfo || true`);
  expect(mounts).toBe("0");

  await cluster.bed.crash("h3");
  const node = await rest.node("h2");
  await cluster.run("h1", `flockerctl node replace ${node} --yes 2>&1`);
  expect(await cluster.run("h2", run("cloned", "cat /data/file"))).toBe("original");
});
