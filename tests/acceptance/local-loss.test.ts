import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "local-loss", defaultPool: "btrfs" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

const withVolume = (name: string, line: string): string =>
  `docker run --rm -v ${name}:/data --volume-driver flocker ${image} bash -c '${line}'`;
const fileOf = (mib: number): string =>
  `dd if=/dev/urandom of=/data/file bs=1M count=${mib} status=none; sync /data/file; ` +
  "sha256sum /data/file";

async function liveOn(name: string): Promise<string> {
  const live = (await rest.view(name)).copies.filter(({ role }) => role === "live");
  expect(live.length).toBe(1);
  return live.map(({ node }) => node).join();
}

async function boot(host: string): Promise<void> {
  await cluster.bed.boot(host);
  await cluster.eventually(`the node of ${host}`, 60_000, async () => {
    const node = await rest.node(host);
    const found = (await rest.nodeViews()).find(({ uuid }) => uuid === node);
    return found?.status === "connected";
  });
}

test("power loss of the target right after the commit loses nothing", async () => {
  const sum = await cluster.run("h1", withVolume("committed", fileOf(64)));
  const target = await rest.node("h2");
  const { dataset_id: id } = await rest.view("committed");
  await rest.move(id, target);
  await cluster.eventually(
    "the commit",
    60_000,
    async () => (await liveOn("committed")) === target,
  );
  await cluster.bed.crash("h2");
  await boot("h2");

  expect(await cluster.run("h2", withVolume("committed", "sha256sum /data/file"))).toBe(sum);
  expect(await liveOn("committed")).toBe(target);
});

test("after a reboot it is used again under a higher generation, and what was synced is there", async () => {
  const sum = await cluster.run("h2", withVolume("rebooted", fileOf(8)));
  const before = (await rest.view("rebooted")).claim?.generation ?? 0;
  await cluster.bed.crash("h2");
  await boot("h2");

  expect(await cluster.run("h2", withVolume("rebooted", "sha256sum /data/file"))).toBe(sum);
  expect((await rest.view("rebooted")).claim?.generation).toBeGreaterThan(before);
});

test("a pool whose file is gone is missing: no new one takes its place, and it works again when it is back", async () => {
  const sum = await cluster.run("h2", withVolume("poolless", fileOf(4)));
  const pool = "/var/lib/flocker/pools/default.img";
  await cluster.bed.service("stop", "h2", "agent");
  await cluster.bed.crash("h2");
  await cluster.bed.boot("h2");
  await cluster.run("h2", "true");
  await cluster.bed.service("stop", "h2", "agent");
  await cluster.run(
    "h2",
    `umount -l /run/flocker/pools/default 2>/dev/null; mv ${pool} ${pool}.away`,
  );
  await cluster.bed.service("start", "h2", "agent");

  const condition = await cluster.eventually("POOL_MISSING", 60_000, async () => {
    const found = (await rest.view("poolless")).condition;
    return found?.code === "POOL_MISSING" ? found : null;
  });
  expect(condition.message).toContain("default");
  expect(await cluster.run("h2", `ls ${pool} 2>/dev/null || echo none`)).toBe("none");

  await cluster.run("h2", `mv ${pool}.away ${pool}`);
  await cluster.eventually("the volume", 60_000, async () => {
    const { status, stdout } = await cluster.exec("h2", [
      "bash",
      "-c",
      withVolume("poolless", "sha256sum /data/file"),
    ]);
    return status === 0 && stdout.trim() === sum;
  });
});

test("a partition of the hosts during a move makes no second writer; it completes after healing", async () => {
  const sum = await cluster.run("h1", withVolume("parted", fileOf(32)));
  const { dataset_id: id } = await rest.view("parted");
  await cluster.bed.partition("h1", "h2", false);
  await rest.move(id, await rest.node("h2"));
  const waiting = cluster.run("h2", withVolume("parted", "sha256sum /data/file"));
  // Cut off, the other host mounts nothing; the one that has it goes on.
  expect(await cluster.run("h1", withVolume("parted", "sha256sum /data/file"))).toBe(sum);
  expect(await cluster.run("h2", `grep -c ${id} /proc/self/mountinfo || true`)).toBe("0");
  await cluster.bed.heal("h1", "h2");

  expect(await waiting).toBe(sum);
  expect(await liveOn("parted")).toBe(await rest.node("h2"));
});

test("a dead source leaves its fallback or nothing, and the text says how old that is", async () => {
  await cluster.run("h1", withVolume("kept", "echo one > /data/file; sync /data/file"));
  await cluster.run(
    "h2",
    withVolume("kept", "cat /data/file; echo two >> /data/file; sync /data/file"),
  );
  await cluster.run("h2", withVolume("alone", "echo only > /data/file; sync /data/file"));
  await cluster.bed.crash("h2");
  const dead = await rest.node("h2");

  const said = await cluster.run("h1", `flockerctl node declare-dead ${dead} --yes 2>&1`);
  expect(said).toContain("kept");
  expect(said).toContain("alone");
  expect(await cluster.run("h1", withVolume("kept", "cat /data/file"))).toBe("one");
  const alone = await cluster.run("h1", "flockerctl ls | grep alone");
  expect(alone).not.toContain("attached");

  await boot("h2");
  const { copies } = await rest.view("kept");
  expect(copies.map(({ role }) => role).sort()).toEqual(["diverged", "live"]);
  expect(await cluster.run("h2", withVolume("alone", "cat /data/file"))).toBe("only");
  await cluster.run("h1", `flockerctl copies rescue kept --node ${dead} --as saved`);
  expect(await cluster.run("h2", withVolume("saved", "cat /data/file"))).toBe("one\ntwo");
});
