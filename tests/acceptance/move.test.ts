import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "move" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";

const withVolume = (name: string, line: string): string =>
  `docker run --rm -v ${name}:/data --volume-driver flocker ${image} bash -c '${line}'`;
const other = (host: string): string => (host === "h1" ? "h2" : "h1");

test("a random file has the same digest on the other host, back and forth five times", async () => {
  let host = "h1";
  const write = "dd if=/dev/urandom of=/data/file bs=1M count=64 status=none; sync /data/file";
  await cluster.run(host, withVolume("blob", `${write}; sha256sum /data/file >/data/sum`));
  const sum = await cluster.run(host, withVolume("blob", "sha256sum /data/file"));
  const id = (await rest.view("blob")).dataset_id;

  for (let move = 0; move < 10; move += 1) {
    host = other(host);
    expect(await cluster.run(host, withVolume("blob", "sha256sum /data/file"))).toBe(sum);
    const left = other(host);
    const mounts = await cluster.run(left, `grep -c ${id} /proc/self/mountinfo || true`);
    const loops = await cluster.run(left, `losetup -l -n -O BACK-FILE,NAME | grep ${id} || true`);
    expect(mounts).toBe("0");
    // /dev is shared by the hosts: one device in all means that the other host has none.
    expect(loops.split("\n").length).toBe(1);
  }

  for (const node of ["h1", "h2"]) {
    const log = await cluster.run(node, "cat /var/log/flocker/agent.log");
    expect(log).toMatch(/"action":"attach_volume".*"event":"action.completed"/);
    expect(log).toMatch(/"action":"detach_volume".*"event":"action.completed"/);
  }
});

test("a fresh volume is empty: initdb works on it, and the engine's copy-up fills it", async () => {
  const init = 'chown postgres /data && su postgres -c "initdb -D /data" >/dev/null && ls /data';
  expect(await cluster.run("h1", withVolume("pg", init))).toContain("PG_VERSION");
  const seed = `docker rm -f seed 2>/dev/null; docker run --name seed ${image} \
    bash -c 'mkdir /seeded && echo hello >/seeded/file' && docker commit seed seeded:1 >/dev/null`;
  await cluster.run("h2", `${seed}; docker rm seed >/dev/null`);
  expect(
    await cluster.run(
      "h2",
      "docker run --rm -v copied:/seeded --volume-driver flocker seeded:1 cat /seeded/file",
    ),
  ).toBe("hello");
});

test("the tutorial's dataset of 100 MB is attached, listed, moved and deleted", async () => {
  const [first, second] = [await rest.node("h1"), await rest.node("h2")];
  const created = await rest.create({
    primary: first,
    maximum_size: 104_857_600,
    metadata: { name: "mongodb_data" },
  });
  expect(created.status).toBe(201);
  const id = created.body.dataset_id;
  const isOn = (node: string) => async (): Promise<boolean> =>
    (await rest.observed()).some((one) => one.dataset_id === id && one.primary === node);
  await cluster.eventually("attached on the first node", 30_000, isOn(first));
  expect(await cluster.run("h2", "flockerctl ls")).toMatch(
    new RegExp(`${id} .*0\\.10G.*name=mongodb_data.*attached ✅`),
  );

  expect((await rest.move(id, second)).status).toBe(200);
  await cluster.eventually("attached on the second node", 30_000, isOn(second));

  expect((await rest.delete(id)).status).toBe(200);
  await cluster.eventually("not listed any more", 30_000, async () => {
    return !(await rest.configured()).some((one) => one.dataset_id === id);
  });
  const again = await rest.delete(id);
  expect([again.status, again.body.deleted]).toEqual([200, true]);
});

test("two hosts create one name at the same instant, 20 times: one dataset each, no error", async () => {
  for (let round = 0; round < 20; round += 1) {
    const create = `docker volume create -d flocker --name both-${round}`;
    const outcomes = await Promise.all([cluster.run("h1", create), cluster.run("h2", create)]);
    expect(outcomes).toEqual([`both-${round}`, `both-${round}`]);
  }
  const names = (await rest.configured())
    .map(({ metadata }) => metadata["name"] ?? "")
    .filter((name) => name.startsWith("both-"));
  expect(names.length).toBe(20);
  expect(new Set(names).size).toBe(20);
});

async function refusedCreate(args: string): Promise<string> {
  const line = `docker volume create -d flocker ${args}`;
  const { status, stderr } = await cluster.exec("h1", ["sh", "-c", line]);
  expect(status).not.toBe(0);
  return stderr;
}

test("an unknown option, a bad size and a bad name are errors that name what is right", async () => {
  expect(await refusedCreate("-o color=red --name bad1")).toMatch(/size.*pool.*fs.*reclaim/s);
  for (const size of ["0", "1", "1e9", "9223372036854775808"]) {
    expect(await refusedCreate(`-o size=${size} --name bad2`)).toMatch(/size|bytes/i);
  }
  expect(await refusedCreate(`--name ${"x".repeat(129)}`)).toMatch(/cannot be the name/);
  const names = (await rest.configured()).map(({ metadata }) => metadata["name"] ?? "");
  expect(names.filter((name) => name.startsWith("bad"))).toEqual([]);
});

test("a path of a dataset that was never here, or moved away, fails loudly", async () => {
  const ghost = "11111111-1111-4111-8111-111111111111";
  await cluster.run("h1", withVolume("gone", "echo x >/data/x"));
  await cluster.run("h2", withVolume("gone", "cat /data/x"));
  for (const id of [ghost, (await rest.view("gone")).dataset_id]) {
    const run = `docker run --rm -v /flocker/${id}:/x ${image} true`;
    const { status } = await cluster.exec("h1", ["sh", "-c", run]);
    expect(status).not.toBe(0);
    expect((await cluster.exec("h1", ["test", "-e", `/flocker/${id}`])).status).toBe(1);
  }
});
