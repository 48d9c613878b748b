import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import type { StepName } from "../../src/planner/steps.ts";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "local-move", defaultPool: "btrfs" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

const withVolume = (name: string, line: string): string =>
  `docker run --rm -v ${name}:/data --volume-driver flocker ${image} bash -c '${line}'`;
const other = (host: string): string => (host === "h1" ? "h2" : "h1");

test("a volume on a host's own disks follows its container, back and forth", async () => {
  let host = "h1";
  const write = "dd if=/dev/urandom of=/data/file bs=1M count=64 status=none; sync /data/file";
  await cluster.run(host, withVolume("blob", `${write}; sha256sum /data/file >/data/sum`));
  const sum = await cluster.run(host, withVolume("blob", "sha256sum /data/file"));
  const id = (await rest.view("blob")).dataset_id;

  for (let move = 0; move < 4; move += 1) {
    host = other(host);
    expect(await cluster.run(host, withVolume("blob", "sha256sum /data/file"))).toBe(sum);
    const left = other(host);
    expect(await cluster.run(left, `grep -c ${id} /proc/self/mountinfo || true`)).toBe("0");
  }
});

test("a volume that is in use elsewhere is waited for, and what was written meanwhile is there", async () => {
  await cluster.run("h1", withVolume("busy", "echo 1 >/data/file; sync /data/file"));
  const run = "docker run -d --name holder -v busy:/data --volume-driver flocker";
  await cluster.run("h1", `${run} ${image} sleep 1000`);
  const starting = cluster.exec("h2", ["bash", "-c", withVolume("busy", "cat /data/file")]);
  await cluster.eventually("the bulk is there", 60_000, async () => {
    const { body } = await cluster.api("h1", "GET", "/v1/datasets");
    return JSON.stringify(body).includes('"phase":"copied"') || null;
  });
  await cluster.run("h1", "docker exec holder bash -c 'echo 2 >>/data/file; sync /data/file'");
  await cluster.run("h1", "docker rm -f holder");
  const { status, stdout } = await starting;

  expect(status).toBe(0);
  expect(stdout).toBe("1\n2\n");
});

const steps = "/run/flocker-steps";

/** The host's agent from now on is one that stands still at this step. */
async function stopAt(host: string, when: "before" | "after", step: StepName): Promise<void> {
  await cluster.bed.service("stop", host, "agent");
  const agent = join(import.meta.dirname, "../harness/stepped-agent.ts");
  const command = `${process.execPath} ${agent} /etc/flocker/agent.yml ${steps}`;
  await cluster.run(
    host,
    `mkdir -p ${steps}; echo ${when} ${step} >${steps}/stop-at
     nohup ${command} >/var/log/flocker/stepped.log 2>&1 & echo`,
  );
  await cluster.nodesConnected();
}

test("what a lost control service left sealed is opened by a person, on its own node", async () => {
  await cluster.run("h1", withVolume("sealed", "echo 1 >/data/file; sync /data/file"));
  const refused = await cluster.exec("h1", ["flocker", "agent", "unseal", "sealed", "--yes"]);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("it decides what becomes of the move");

  await stopAt("h2", "before", "receive_copy.confirm");
  const starting = cluster.exec("h2", ["bash", "-c", withVolume("sealed", "cat /data/file")]);
  await cluster.eventually("the target has everything", 60_000, async () =>
    (await cluster.run("h2", `cat ${steps}/reached 2>/dev/null || true`)) === "" ? null : true,
  );
  await cluster.bed.service("stop", "h1", "control");
  await cluster.bed.service("stop", "h1", "agent");
  const opened = await cluster.run("h1", "flocker agent unseal sealed --yes");
  const again = await cluster.exec("h1", ["flocker", "agent", "unseal", "sealed", "--yes"]);
  await cluster.run("h2", "kill -9 $(cat /run/flocker/agent.pid)");

  expect(opened).toContain("start the agent");
  expect(again.stderr).toContain("is not sealed in pool default");
  expect(await cluster.run("h1", "cat /var/lib/flocker/agent/audit.log")).toContain("unsealed");
  for (const host of ["h1", "h2"]) {
    if (host === "h1") await cluster.bed.service("start", host, "control");
    await cluster.bed.service("start", host, "agent");
  }
  await cluster.nodesConnected();
  await starting;
  expect(await cluster.run("h2", withVolume("sealed", "cat /data/file"))).toBe("1");
});
