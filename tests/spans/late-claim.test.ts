import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "late-claim" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

function start(name: string, options: string): Promise<string> {
  const line = `cat /data/file >/data/seen; echo ${name} >/data/file; sync /data/file; sleep 1000`;
  const run = `docker run -d --name ${name} ${options} -v ${name}:/data --volume-driver flocker`;
  return cluster.run("h2", `${run} ${image} bash -c '${line}'`);
}

function inspect(name: string, format: string): Promise<string> {
  return cluster.run("h2", `docker inspect -f '{{${format}}}' ${name}`);
}

test("hosts that boot before the control service: containers that should run do, later", async () => {
  await start("always", "--restart=always");
  await start("unless", "--restart=unless-stopped");
  await start("stopped", "--restart=unless-stopped");
  await start("never", "");
  await cluster.eventually("all wrote", 20_000, async () => {
    const files = await cluster.run("h2", "cat /flocker/*/file || true");
    return files.split("\n").length === 4;
  });
  await cluster.run("h2", "docker stop -t 1 stopped");
  await cluster.bed.service("stop", "h1", "control");
  await cluster.bed.crash("h2");
  await cluster.bed.boot("h2");
  for (const name of ["always", "unless"]) {
    const failed = await cluster.eventually("the engine gave up on it", 180_000, () =>
      inspect(name, ".State.Error"),
    );
    expect(failed).toContain("Timed out waiting for dataset to mount");
  }

  await cluster.bed.service("start", "h1", "control");

  for (const name of ["always", "unless"]) {
    await cluster.eventually(`${name} runs without a hand`, 90_000, async () => {
      return (await inspect(name, ".State.Running")) === "true";
    });
    await cluster.eventually("its data is there", 20_000, async () => {
      const cat = ["docker", "exec", name, "cat", "/data/seen"];
      return (await cluster.exec("h2", cat)).stdout === `${name}\n`;
    });
    expect((await rest.view(name)).phase).toBe("attached");
  }
  for (const name of ["stopped", "never"])
    expect(await inspect(name, ".State.Running")).toBe("false");
  const log = await cluster.run("h2", "grep container.started /var/log/flocker/agent.log");
  expect(log.split("\n").length).toBe(2);
});
