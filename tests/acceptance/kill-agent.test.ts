import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { expect, test } from "vitest";
import { fileIn } from "../../tools/testbed/host.ts";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "kill-agent" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";
const hosts = ["h1", "h2"] as const;
/** The full number is for a run by hand: ROUNDS=100. */
const rounds = Number(process.env["ROUNDS"] ?? "14");

/** What the hosts' containers said so far, in each host. */
const said = "/tmp/said";

/**
 * Appends a line in container after container until told to stop; tells each that was synced. A
 * user whose end the engine could not tell keeps its volume for minutes: nobody waits for that.
 */
function appending(host: string, names: readonly string[]): string {
  const append = `echo ${host}-$i >>/data/log && sync /data/log`;
  const line = (name: string): string =>
    `timeout 20 docker run --rm -v ${name}:/data --volume-driver flocker ${image} \
      bash -c "${append} && echo ${name} ${host}-$i" 2>/dev/null >>${said}`;
  const order = host === "h1" ? names : names.toReversed();
  return `i=0; until [ -e /tmp/stop ]; do i=$((i + 1)); ${order.map(line).join("; ")}; done; true`;
}

function acknowledged(): readonly string[] {
  const texts = hosts.map((host) => textOf(fileIn(cluster.bed.paths, host, said)));
  return texts.flatMap((text) => text.split("\n").filter((line) => line !== ""));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Gone since it was listed.
  }
}

/** Devices of a dataset that are mounted in any mount namespace of this machine, by number. */
function mountedDevices(id: string): ReadonlySet<string> {
  const numbers = readdirSync("/sys/block")
    .filter((name) => textOf(`/sys/block/${name}/loop/backing_file`).includes(id))
    .map((name) => textOf(`/sys/block/${name}/dev`).trim());
  const mounts = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => textOf(`/proc/${pid}/mountinfo`))
    .join("");
  return new Set(numbers.filter((number) => mounts.includes(` ${number} `)));
}

/** Each host has a device of its own; one that is there before and after another was, overlaps. */
function overlap(id: string): readonly string[] {
  const [before, between, after] = [mountedDevices(id), mountedDevices(id), mountedDevices(id)];
  const lasting = [...before].filter((device) => after.has(device));
  return [...between].filter((device) => lasting.some((other) => other !== device));
}

test("the agent is killed again and again: nothing is lost, nothing is mounted twice", async () => {
  const names = ["apple", "berry", "cherry", "damson", "elder"];
  for (const name of names) {
    await cluster.run("h1", `docker volume create -d flocker -o size=64MiB --name ${name}`);
  }
  const ids = (await rest.views()).map(({ dataset_id: id }) => id);
  const how = { deadlineMs: 580_000 };
  const writing = Promise.all(hosts.map((host) => cluster.run(host, appending(host, names), how)));
  const overlaps: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const host = hosts[round % 2] ?? "h1";
    const { length: before } = acknowledged();
    const endMs = performance.now() + 700 + ((round * 617) % 1900);
    // On a slow machine a round is as long as it takes until somebody has written.
    await cluster.eventually(`a line in round ${round}`, 120_000, async () => {
      for (const id of ids) overlaps.push(...overlap(id));
      return performance.now() >= endMs && acknowledged().length > before;
    });
    await cluster.eventually("an agent to kill", 10_000, async () => {
      await cluster.signal(host, "agent", "KILL");
      return true;
    });
  }
  for (const host of hosts) await cluster.run(host, "touch /tmp/stop");
  await writing;
  const lines = acknowledged();
  expect(overlaps).toEqual([]);
  await cluster.eventually("every dataset is attached to its node", 60_000, async () => {
    return (await rest.views()).every(({ phase, claim }) => phase !== "error" && claim !== null);
  });

  const firstNode = await rest.node("h1");
  for (const name of names) {
    const { claim } = await rest.view(name);
    const read = `docker run --rm -v ${name}:/data --volume-driver flocker ${image} cat /data/log`;
    const there = new Set(
      (await cluster.run(claim?.node === firstNode ? "h1" : "h2", read)).split("\n"),
    );
    const mine = lines.filter((line) => line.startsWith(`${name} `));
    expect(mine.filter((line) => !there.has(line.slice(name.length + 1)))).toEqual([]);
  }
  expect(lines.length).toBeGreaterThanOrEqual(rounds);
  const generations = (await rest.views()).map(({ claim }) => claim?.generation ?? 0);
  expect(Math.max(...generations)).toBeGreaterThan(1);
});
