import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fileIn } from "../../tools/testbed/host.ts";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

/** The engine of h1 leaves its containers running when it ends, that of h2 does not. */
const cluster = useCluster({ purpose: "engine-crash", withoutLiveRestore: ["h2"] });
const rest = new Rest(cluster);
const image = "flocker-demo:1";
const other = { h1: "h2", h2: "h1" } as const;
type Host = keyof typeof other;

const writer = `n=$(cat /data/log 2>/dev/null | wc -l); while n=$((n + 1)); do
  echo $n >>/data/log && sync /data/log || exit 1; sleep 0.05; done`;

function start(host: Host, volume: string, options = ""): Promise<string> {
  const line = `docker run -d --name ${volume} ${options} -v ${volume}:/data`;
  return cluster.run(host, `${line} --volume-driver flocker ${image} bash -c '${writer}'`);
}

function count(host: Host, name: string): Promise<number> {
  return cluster.run(host, `docker exec ${name} wc -l /data/log`).then(Number.parseInt);
}

async function users(volume: string): Promise<readonly string[]> {
  return (await rest.view(volume)).users.map(({ id }) => id).sort();
}

/** Ends the engine, and with it a container's process that the engine will find gone. */
async function killWith(host: Host, container: string): Promise<void> {
  const pid = await cluster.run(host, `docker inspect -f '{{.State.Pid}}' ${container}`);
  await cluster.run(host, `kill -KILL ${cluster.pidOf(host, "dockerd")} ${pid}`);
  await cluster.eventually("the engine is back", 60_000, async () => {
    return (await cluster.exec(host, ["docker", "info"])).status === 0;
  });
}

function droppedAtMs(host: Host, user: string): number | null {
  const lines = readFileSync(fileIn(cluster.bed.paths, host, "/var/log/flocker/agent.log"), "utf8")
    .split("\n")
    .filter((line) => line.includes('"user.dropped"') && line.includes(user));
  const at: unknown = lines[0] === undefined ? null : JSON.parse(lines[0]);
  return typeof at === "object" && at !== null && "at" in at ? Date.parse(String(at.at)) : null;
}

type Crash = {
  readonly heldS: number;
  /** Lines of the volume that was left: acknowledged before the crash, and found elsewhere. */
  readonly acknowledged: number;
  readonly found: readonly number[];
  readonly droppedOfKept: readonly string[];
};

/** A crash of a host's engine, to the end of what it left behind. */
async function crash(host: Host): Promise<Crash> {
  const [kept, left] = [`kept-${host}`, `left-${host}`];
  await start(host, kept, "--restart=always");
  await start(host, left);
  await cluster.eventually("both write", 20_000, async () => (await count(host, left)) > 3);
  const answeredMs = Date.now();
  const before = await users(kept);
  const [user = ""] = await users(left);
  const written = await count(host, kept);
  const acknowledged = await count(host, left);

  await killWith(host, left);

  await cluster.eventually("the kept one writes on", 60_000, async () => {
    return (await count(host, kept)) > written;
  });
  expect(await users(kept)).toEqual(before);
  expect(await users(left)).toEqual([user]);

  // Mount after Mount waits for it there, and each says what it waits for.
  const read = `docker run --rm -v ${left}:/data --volume-driver flocker ${image} cat /data/log`;
  const found = await cluster.eventually("the left one is free", 420_000, async () => {
    const { status, stdout } = await cluster.exec(other[host], ["bash", "-c", read], {
      deadlineMs: 150_000,
    });
    return status === 0 ? stdout.trim().split("\n").map(Number) : null;
  });
  expect(await users(kept)).toEqual(before);
  const heldS = Math.round(((droppedAtMs(host, user) ?? 0) - answeredMs) / 1_000);
  const droppedOfKept = before.filter((id) => droppedAtMs(host, id) !== null);
  return { heldS, acknowledged, found, droppedOfKept };
}

test("users that a killed engine left are ended, those of its living containers stay", async () => {
  for (const one of await Promise.all([crash("h1"), crash("h2")])) {
    const { heldS, acknowledged, found, droppedOfKept } = one;
    expect(heldS).toBeGreaterThan(170);
    expect(heldS).toBeLessThan(300);
    expect(found.length).toBeGreaterThanOrEqual(acknowledged);
    expect(found).toEqual(found.map((_, index) => index + 1));
    expect(droppedOfKept).toEqual([]);
  }
});
