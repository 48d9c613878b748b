import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "local-pools", defaultPool: "btrfs" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

const withVolume = (name: string, line: string): string =>
  `docker run --rm -v ${name}:/data --volume-driver flocker ${image} bash -c '${line}'`;
const other = (host: string): string => (host === "h1" ? "h2" : "h1");

/** Exactly one live copy, on `host`; nothing of a move is left open. */
async function expectLiveOn(name: string, host: string): Promise<void> {
  const node = await rest.node(host);
  const { copies, move } = await rest.view(name);
  expect(move).toBeNull();
  expect(copies.filter(({ role }) => role === "live").map((copy) => copy.node)).toEqual([node]);
}

test("a random file has the same digest on the other host, back and forth five times", async () => {
  let host = "h1";
  const write = "dd if=/dev/urandom of=/data/file bs=1M count=64 status=none; sync /data/file";
  await cluster.run(host, withVolume("blob", write));
  const sum = await cluster.run(host, withVolume("blob", "sha256sum /data/file"));
  const id = (await rest.view("blob")).dataset_id;

  for (let move = 0; move < 10; move += 1) {
    host = other(host);
    expect(await cluster.run(host, withVolume("blob", "sha256sum /data/file"))).toBe(sum);
    await expectLiveOn("blob", host);
    expect(await cluster.run(other(host), `grep -c ${id} /proc/self/mountinfo || true`)).toBe("0");
  }
});

test("what the next user wrote goes along, whichever way it moves", async () => {
  let host = "h1";
  for (let turn = 1; turn <= 4; turn += 1) {
    await cluster.run(host, withVolume("log", `echo ${turn} >> /data/turns; sync /data/turns`));
    host = other(host);
  }
  expect(await cluster.run(host, withVolume("log", "cat /data/turns"))).toBe("1\n2\n3\n4");
});

test("a volume is full at its own size, before a move and after it, and its neighbour is not", async () => {
  const size = 64 * 2 ** 20;
  const create = `docker volume create --driver flocker --opt size=${size} small`;
  await cluster.run("h1", `${create}; docker volume create --driver flocker neighbour`);
  const fill =
    "dd if=/dev/zero of=/data/fill bs=1M count=100 2>&1; sync /data/fill; stat -c %s /data/fill";
  for (const host of ["h1", "h2"]) {
    const said = await cluster.run(host, withVolume("small", `rm -f /data/fill; ${fill}`));
    expect(said).toMatch(/No space left on device|Disk quota exceeded/);
    expect(Number(said.split("\n").at(-1))).toBeLessThanOrEqual(size);
    const write = "echo fine > /data/file; sync /data/file; cat /data/file";
    expect(await cluster.run(host, withVolume("neighbour", write))).toBe("fine");
  }
});

test("a writer that still has a file open keeps the volume, and is named; then everything is there", async () => {
  await cluster.run("h1", withVolume("held", "echo first > /data/file; sync /data/file"));
  const { path, dataset_id: id } = await cluster.eventually(
    "the volume on h1",
    30_000,
    async () => {
      const view = await rest.view("held");
      return view.path === null ? null : view;
    },
  );
  // Not a container: somebody with a shell on the host, where no Mount tells of it.
  const hold = `exec 9>>${path}/file
    while [ ! -e /run/let-go ]; do sleep 0.1; done
    echo last >&9`;
  const holder = cluster.exec("h1", ["bash", "-c", hold], { deadlineMs: 110_000 });
  await cluster.eventually("the holder", 20_000, async () =>
    (await cluster.run("h1", "ls -l /proc/[0-9]*/fd 2>/dev/null")).includes(`${id}/file`),
  );

  await rest.move(id, await rest.node("h2"));
  const condition = await cluster.eventually("the reason why it waits", 60_000, async () => {
    const found = (await rest.view("held")).condition;
    return found?.message.includes("bash") === true ? found : null;
  });
  expect(condition.message).toMatch(/process \d+|pid \d+/);
  await cluster.run("h1", "touch /run/let-go");
  expect((await holder).status).toBe(0);

  await cluster.eventually("the move", 60_000, async () => {
    const { node, phase } = await rest.view("held");
    return node === (await rest.node("h2")) && phase === "attached";
  });
  expect(await cluster.run("h2", withVolume("held", "cat /data/file"))).toBe("first\nlast");
});

test("no byte of the data crosses the network in the clear", async () => {
  const secret = "flocker-must-not-show-this-in-the-clear";
  const fill = `for i in $(seq 2000); do echo ${secret}; done > /data/secret; sync /data/secret`;
  await cluster.run("h1", withVolume("secret", fill));
  const capture = cluster.exec("h2", [
    "timeout",
    "--preserve-status",
    "-s",
    "INT",
    "12",
    "tcpdump",
    "-i",
    "eth0",
    "-U",
    "-w",
    "/tmp/capture",
  ]);
  await cluster.eventually(
    "the capture",
    15_000,
    async () => (await cluster.run("h2", "stat -c %s /tmp/capture 2>/dev/null || echo 0")) !== "0",
  );
  const digest = await cluster.run("h2", withVolume("secret", "wc -l < /data/secret"));
  expect(digest).toBe("2000");
  await capture;

  const bytes = Number(await cluster.run("h2", "stat -c %s /tmp/capture"));
  expect(bytes).toBeGreaterThan(10_000);
  expect(await cluster.run("h2", `grep -c -a ${secret} /tmp/capture || true`)).toBe("0");
});

test("a target without room refuses before the seal, and the source goes on", async () => {
  const pools = [
    ["h1", 2 ** 30],
    ["h2", 2 ** 28],
  ] as const;
  for (const [host, bytes] of pools) {
    const pool = `  tiny:\n    backend: btrfs\n    pool_size: ${bytes}\n`;
    await cluster.run(host, `printf '${pool}' >> /etc/flocker/agent.yml`);
    await cluster.bed.service("stop", host, "agent");
    await cluster.bed.service("start", host, "agent");
  }
  const create = "docker volume create --driver flocker --opt pool=tiny --opt size=900MiB bulky";
  await cluster.eventually("the pool tiny", 30_000, async () => {
    const { status } = await cluster.exec("h1", ["sh", "-c", create]);
    return status === 0;
  });
  const fill = "dd if=/dev/urandom of=/data/file bs=1M count=300 status=none; sync /data/file";
  await cluster.run("h1", `docker run --rm -v bulky:/data ${image} bash -c '${fill}'`);
  await rest.move((await rest.view("bulky")).dataset_id, await rest.node("h2"));

  const condition = await cluster.eventually("the refusal", 60_000, async () => {
    const found = (await rest.view("bulky")).condition;
    return found?.code === "POOL_FULL" ? found : null;
  });
  expect(condition.message).toContain("tiny");
  const read = `docker run --rm -v bulky:/data ${image} stat -c %s /data/file`;
  expect(await cluster.run("h1", read)).toBe(String(300 * 2 ** 20));
  await expectLiveOn("bulky", "h1");
});
