import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster, useCluster } from "../harness/cluster.ts";

const cluster = useCluster({ purpose: "testbed-test", bare: true });

test("exec passes arguments, input, output and the exit status unchanged", async () => {
  const odd = [
    "two words",
    "",
    "'quoted' \"twice\"",
    "$HOME;`id`\\",
    "line\nfeed",
    "-n",
    "--",
    "ü",
  ];
  const printed = await cluster.exec("h1", ["printf", "%s\\0", ...odd]);
  expect(printed.stdout.split("\0").slice(0, -1)).toEqual(odd);

  const input = Buffer.from([0, 1, 2, 254, 255, 10]);
  const counted = await cluster.exec("h1", ["sha256sum"], { input });
  const expected = execFileSync("sha256sum", { input, encoding: "utf8" });
  expect(counted.stdout).toBe(expected);

  const failed = await cluster.exec("h1", ["sh", "-c", "echo out; echo err >&2; exit 37"]);
  expect(failed).toEqual({ status: 37, stdout: "out\n", stderr: "err\n" });
});

test("a shell in a host runs what it is told, and no start-up file before it", async () => {
  await cluster.exec("h1", ["tee", "/root/.bashrc"], { input: "echo from .bashrc\n" });

  expect(await cluster.run("h1", "echo told")).toBe("told");
});

test("each host has an engine of its own that runs the image", async () => {
  const ids: string[] = [];
  for (const host of ["h1", "h2"]) {
    expect(
      await cluster.run(host, "docker run --rm flocker-demo:1 redis-server --version"),
    ).toMatch(/^Redis server v=/);
    ids.push(await cluster.run(host, "docker info -f '{{.ID}} {{.LiveRestoreEnabled}}'"));
  }

  expect(new Set(ids).size).toBe(2);
  expect(ids.every((line) => line.endsWith(" true"))).toBe(true);
});

test("the image has what stories about volumes are told with", async () => {
  const script = `set -e
    for p in bash awk dd stat wc tail sha256sum; do command -v $p; done
    for p in redis-cli postgres initdb psql; do command -v $p; done
    sleep 0.02; echo x >/tmp/x; sync /tmp/x; id -u postgres
    install -d -o postgres /tmp/pg; cd /tmp
    su postgres -c 'initdb -D /tmp/pg && pg_ctl -w -D /tmp/pg -l /tmp/pg/log start' >/dev/null 2>&1
    su postgres -c 'psql -Atc "select 6 * 7"'`;
  const said = await cluster.exec("h2", [
    "docker",
    "run",
    "--rm",
    "-i",
    "flocker-demo:1",
    "bash",
    "-c",
    script,
  ]);

  expect(said.stderr).toBe("");
  expect(said.stdout.trim().split("\n").at(-1)).toBe("42");
});

test("a crash loses what was not synced and keeps what was, on the disk and on a volume", async () => {
  const volume = `mkdir -p /mnt/volume /san/crash`;
  await cluster.run(
    "h1",
    `${volume} && truncate -s 128M /san/crash/v.img && mkfs.ext4 -q /san/crash/v.img`,
  );
  await cluster.run("h1", "mount $(losetup -f --show /san/crash/v.img) /mnt/volume");
  for (const directory of ["/mnt/volume", "/root"]) {
    await cluster.run("h1", `echo kept >${directory}/kept && sync ${directory}/kept ${directory}`);
    await cluster.run("h1", `echo lost >${directory}/lost`);
  }
  const bootId = await cluster.run("h1", "cat /proc/sys/kernel/random/boot_id");
  const machineId = await cluster.run("h1", "cat /etc/machine-id");

  await cluster.bed.crash("h1");
  expect(loopsOn("/san/crash/v.img")).toEqual([]);
  await cluster.bed.boot("h1");

  await cluster.run("h1", "mount -o loop /san/crash/v.img /mnt/volume");
  for (const directory of ["/mnt/volume", "/root"]) {
    expect(await cluster.run("h1", `cat ${directory}/kept`)).toBe("kept");
    expect(await cluster.run("h1", `cat ${directory}/lost 2>/dev/null || true`)).toBe("");
  }
  expect(await cluster.run("h1", "cat /proc/sys/kernel/random/boot_id")).not.toBe(bootId);
  expect(await cluster.run("h1", "cat /etc/machine-id")).toBe(machineId);
  await cluster.run("h1", "umount /mnt/volume");
});

test("a crash loses what was written to a bare device and not synced", async () => {
  await cluster.run("h2", "mkdir -p /san/crash && truncate -s 16M /san/crash/d.img");
  const device = await cluster.run("h2", "losetup -f --show /san/crash/d.img");
  await cluster.run("h2", `echo kept | dd of=${device} conv=fsync,notrunc status=none`);
  // Something that has it open must stay, else the kernel writes it out at the last close.
  await cluster.run("h2", `nohup sleep 1000 <${device} >/dev/null 2>&1 & sleep 0.1`);
  await cluster.run("h2", `echo lost | dd of=${device} bs=1M seek=1 conv=notrunc status=none`);

  await cluster.bed.crash("h2");
  await cluster.bed.boot("h2");

  expect(await cluster.run("h2", "head -c 4 /san/crash/d.img")).toBe("kept");
  expect(await cluster.run("h2", "tail -c +1048577 /san/crash/d.img | tr -d '\\0' | wc -c")).toBe(
    "0",
  );
});

test("a partition cuts two hosts until it is healed, a one-way cut only one way", async () => {
  const node = process.execPath;
  const server = `require('node:dgram').createSocket('udp4')
    .on('message', (m) => require('node:fs').appendFileSync('/tmp/heard', m + '\\n')).bind(7000)`;
  for (const host of ["h1", "h2"]) {
    await cluster.run(host, `setsid ${node} -e "${server}" </dev/null >/dev/null 2>&1 & true`);
  }
  let count = 0;
  const heard = async (from: string, to: string): Promise<boolean> => {
    count += 1;
    const word = `message-${count}`;
    return cluster
      .eventually(`${word} from ${from} to ${to}`, 1_000, async () => {
        await cluster.run(from, `echo ${word} >/dev/udp/${to}/7000 || true`);
        return (await cluster.run(to, "cat /tmp/heard 2>/dev/null || true")).includes(word);
      })
      .catch(() => false);
  };
  await cluster.eventually("both listen", 10_000, async () => {
    return (await heard("h1", "h2")) && (await heard("h2", "h1"));
  });

  await cluster.bed.partition("h1", "h2");
  expect([await heard("h1", "h2"), await heard("h2", "h1")]).toEqual([false, false]);
  await cluster.bed.heal("h1", "h2");
  expect([await heard("h1", "h2"), await heard("h2", "h1")]).toEqual([true, true]);
  await cluster.bed.partition("h1", "h2", true);
  expect([await heard("h1", "h2"), await heard("h2", "h1")]).toEqual([false, true]);
  await cluster.bed.heal("h1", "h2");
  expect([await heard("h1", "h2"), await heard("h2", "h1")]).toEqual([true, true]);
});

test("a killed engine is started again within two seconds, and its containers go on", async () => {
  await cluster.run("h1", "docker run -d --name steady flocker-demo:1 sleep 1000");
  const running = await cluster.run("h1", "docker inspect -f '{{.State.Pid}}' steady");
  const before = cluster.pidOf("h1", "dockerd");

  await cluster.signal("h1", "dockerd", "KILL");

  await cluster.eventually("another engine", 2_000, () => {
    const pid = cluster.pidOf("h1", "dockerd");
    return pid !== before && existsSync(`/proc/${initPid("h1")}/root/proc/${pid}`);
  });
  await cluster.eventually("the engine's answer", 30_000, async () => {
    return (await cluster.exec("h1", ["docker", "info"])).status === 0;
  });
  expect(await cluster.run("h1", "docker inspect -f '{{.State.Pid}}' steady")).toBe(running);
  await cluster.run("h1", "docker rm -f steady");
});

test("a stopped service stays down until it is started", async () => {
  await cluster.bed.service("stop", "h2", "dockerd");
  expect((await cluster.exec("h2", ["docker", "info"])).status).not.toBe(0);

  await cluster.bed.service("start", "h2", "dockerd");
  expect((await cluster.exec("h2", ["docker", "info"])).status).toBe(0);
  await expect(cluster.bed.service("stop", "h2", "nonsense")).rejects.toThrow("there are: dockerd");
});

test("a paused host stands still until it is resumed", async () => {
  await cluster.run(
    "h1",
    "rm -f /tmp/ticks; (while sleep 0.02; do date >>/tmp/ticks; done) >&- 2>&- &",
  );
  const ticks = `/proc/${initPid("h1")}/root/tmp/ticks`;
  const size = (): number =>
    Number(execFileSync("stat", ["-c", "%s", ticks], { encoding: "utf8" }));
  await cluster.eventually("a ticking process", 5_000, () => existsSync(ticks) && size() > 0);

  await cluster.bed.pause("h1");
  const paused = size();
  execFileSync("sleep", ["0.3"]);
  expect(size()).toBe(paused);
  await expect(cluster.run("h1", "true")).rejects.toThrow("h1 is paused");

  await cluster.bed.resume("h1");
  await cluster.eventually("more ticks", 5_000, () => size() > paused);
});

test("a clone has the disk of its source, but a machine id, name and address of its own", async () => {
  await cluster.run("h2", "echo copied >/root/copied");
  const identity = "cat /etc/machine-id; hostname; ip -4 -o addr show eth0 | awk '{ print $4 }'";

  expect(await cluster.bed.clone("h2")).toBe("h3");

  expect(await cluster.run("h3", "cat /root/copied")).toBe("copied");
  const [machineId, name, address] = (await cluster.run("h3", identity)).split("\n");
  expect([name, address]).toEqual(["h3", "10.77.0.3/24"]);
  expect(machineId).toMatch(/^[0-9a-f]{32}$/);
  expect(machineId).not.toBe((await cluster.run("h2", identity)).split("\n")[0]);
});

test("a bare host has nothing of ours", async () => {
  for (const program of ["flocker", "flockerctl", "flocker-ca"]) {
    expect((await cluster.exec("h1", ["sh", "-c", `command -v ${program}`])).status).not.toBe(0);
  }
  expect(await cluster.run("h1", "ls -d /etc/flocker /var/lib/flocker 2>/dev/null || true")).toBe(
    "",
  );
});

test("down leaves no process, mount, loop device, cgroup or file", async () => {
  await using other = new Cluster({ purpose: "testbed-leftovers", hosts: 1, bare: true });
  await other.up();
  const { id, root } = other.bed.paths;
  await other.run("h1", "mkdir -p /mnt/v && truncate -s 64M /san/v.img && mkfs.ext4 -q /san/v.img");
  await other.run("h1", "mount $(losetup -f --show /san/v.img) /mnt/v");
  await other.run("h1", "docker run -d -v /mnt/v:/v flocker-demo:1 sleep 1000");
  await other.run("h1", "losetup -f /san/v.img");
  await other.bed.pause("h1");

  await other.down();

  expect(left(`grep -laF ${id} /proc/[0-9]*/environ 2>/dev/null`)).toBe("");
  expect(left(`grep -hF ${id} /proc/[0-9]*/mountinfo /proc/[0-9]*/cgroup 2>/dev/null`)).toBe("");
  expect(left(`losetup -l -n -O BACK-FILE | grep -F -e ${id} -e /san/v.img`)).toBe("");
  expect(left(`find /sys/fs/cgroup -maxdepth 2 -name '${id}*'`)).toBe("");
  expect(existsSync(root)).toBe(false);
});

/** What a command that looks for leftovers of a bed prints. */
function left(command: string): string {
  return execFileSync("sh", ["-c", `${command} || true`], { encoding: "utf8" }).trim();
}

function loopsOn(file: string): readonly string[] {
  const text = execFileSync("losetup", ["-l", "-n", "-O", "BACK-FILE"], { encoding: "utf8" });
  return text.split("\n").filter((line) => line.trim() === file);
}

function initPid(host: string): number {
  const init = cluster.bed.initOf(host);
  if (init === null) throw new Error(`${host} is off`);
  return init.pid;
}

test.each([
  ["down", "h2"],
  ["ls", "h2"],
  ["--keep", "h2"],
  ["up", "2", "h2"],
  ["partition", "h1", "h1"],
])("./demo %s %s is refused: it is not what was meant", (...args) => {
  const demo = join(import.meta.dirname, "../../tools/demo.ts");
  const ran = spawnSync(process.execPath, [demo, ...args], { encoding: "utf8" });
  expect(ran).toMatchObject({ status: 2, stdout: "" });
  expect(ran.stderr).toMatch(/^flocker: (nothing can follow|two different hosts needed)/);
});
