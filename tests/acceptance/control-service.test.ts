import process from "node:process";
import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "control" });
const rest = new Rest(cluster);
const image = "flocker-demo:1";
/** The full number is for a run by hand: ROUNDS=100. */
const rounds = Number(process.env["ROUNDS"] ?? "8");

const curl =
  "curl -s -m 10 --cacert /etc/flocker/cluster.crt --cert /etc/flocker/user.crt " +
  "--key /etc/flocker/user.key https://control-service:4523/v1";

/** Posts names one after another for two seconds; prints each that was acknowledged. */
function poster(round: string, primary: string): string {
  const body = `{"primary":"${primary}","metadata":{"name":"${round}-%s"}}`;
  const post = `${curl}/configuration/datasets -o /dev/null -w '%{http_code}' -d @-`;
  return `i=0; end=$(($(date +%s) + 2))
    while [ $(date +%s) -lt $end ]; do i=$((i + 1))
      code=$(printf '${body}' $i | ${post})
      [ "$code" = 201 ] && echo ${round}-$i | tee -a /tmp/acknowledged-${round}
    done; true`;
}

async function names(): Promise<ReadonlySet<string>> {
  const configured = await rest.configured();
  return new Set(configured.map(({ metadata }) => metadata["name"] ?? ""));
}

test("what was acknowledged survives kill -9 of the control service, round after round", async () => {
  const primary = await rest.node("h1");
  const acknowledged: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const posting = cluster.run("h2", poster(`k${round}`, primary));
    await cluster.run("h1", `sleep 0.${1 + (round % 9)}`);
    await cluster.signal("h1", "control", "KILL");
    acknowledged.push(...(await posting).split("\n").filter((name) => name !== ""));
    await cluster.nodesConnected();
    const known = await names();
    expect(acknowledged.filter((name) => !known.has(name))).toEqual([]);
  }
  expect(acknowledged.length).toBeGreaterThan(rounds);
});

test("what was acknowledged survives power loss of the control service's host", async () => {
  const acknowledged: string[] = [];
  for (let round = 0; round < Math.ceil(rounds / 5); round += 1) {
    const primary = await rest.node("h2");
    const posting = cluster.run("h2", poster(`p${round}`, primary));
    await cluster.eventually("a first acknowledgement", 20_000, async () => {
      return (await cluster.exec("h2", ["test", "-s", `/tmp/acknowledged-p${round}`])).status === 0;
    });
    await cluster.bed.crash("h1");
    acknowledged.push(...(await posting).split("\n").filter((name) => name !== ""));
    await cluster.bed.boot("h1");
    await cluster.eventually("the control service", 60_000, async () => {
      return (await cluster.exec("h2", ["sh", "-c", `${curl}/version`])).status === 0;
    });
    await cluster.nodesConnected();
    const known = await names();
    expect(acknowledged.filter((name) => !known.has(name))).toEqual([]);
  }
  expect(acknowledged.length).toBeGreaterThan(0);
});

test("with the control service stopped, known names are answered and Docker works as without us", async () => {
  await cluster.run("h2", "docker volume create -d flocker --name known");
  await cluster.bed.service("stop", "h1", "control");
  try {
    const socket = "/run/docker/plugins/flocker/flocker.sock";
    const call = `curl -s --unix-socket ${socket} -d '{"Name":"known"}' http://p/VolumeDriver.Get`;
    const answers = await cluster.run("h2", `for i in $(seq 1000); do ${call}; echo; done`);
    const lines = answers.split("\n").filter((line) => line !== "");
    expect(lines.length).toBe(1000);
    expect(lines.every((line) => line.includes('"Name":"known"'))).toBe(true);

    expect(await cluster.run("h2", `docker run --rm ${image} echo plain`)).toBe("plain");
    expect(await cluster.run("h2", "docker volume create local1")).toBe("local1");
    expect(
      await cluster.run("h2", `docker run --rm -v fresh:/d -v /anonymous ${image} echo ours`),
    ).toBe("ours");
  } finally {
    await cluster.bed.service("start", "h1", "control");
  }
  await cluster.nodesConnected();
});

test("a store that is set back is read-only until it is recovered; nothing is mounted twice", async () => {
  const run = (host: string, line: string): Promise<string> =>
    cluster.run(
      host,
      `docker run --rm -v ledger:/data --volume-driver flocker ${image} bash -c '${line}'`,
    );
  await run("h1", "echo one >>/data/log; sync /data/log");
  await cluster.run(
    "h1",
    "flocker control backup --data-path /var/lib/flocker/control /root/monday.db",
  );
  await run("h2", "echo two >>/data/log; sync /data/log");
  await cluster.bed.service("stop", "h1", "control");
  await cluster.run(
    "h1",
    `cd /var/lib/flocker/control && mv store.sqlite* /tmp/ && cp /root/monday.db store.sqlite`,
  );
  await cluster.bed.service("start", "h1", "control");
  await cluster.eventually("the old store serves", 30_000, async () => {
    return (await cluster.exec("h2", ["sh", "-c", `${curl}/version`])).status === 0;
  });
  const refused = await cluster.api("h2", "POST", "/v1/configuration/datasets", {
    primary: (await rest.nodeViews())[0]?.uuid,
  });
  expect(refused.status).toBe(503);
  expect(JSON.stringify(refused.body)).toMatch(/recover/);

  await cluster.bed.service("stop", "h1", "control");
  await cluster.run("h1", "flocker control recover --yes --data-path /var/lib/flocker/control");
  await cluster.bed.service("start", "h1", "control");
  await cluster.nodesConnected();
  expect(await run("h1", "cat /data/log")).toBe("one\ntwo");
});
