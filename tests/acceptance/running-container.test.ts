import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";
import { Rest } from "../harness/rest.ts";

const cluster = useCluster({ purpose: "running" });
const rest = new Rest(cluster, "h2");
const image = "flocker-demo:1";

const run = (name: string, line: string): string =>
  `docker run --rm -v ${name}:/data --volume-driver flocker ${image} ${line}`;

/** Appends a number and fsyncs it each 10 ms; any failure ends it with a line that says so. */
const writer = `n=0; while n=$((n+1)); echo $n >>/data/log && sync /data/log || { echo FAILED $n; exit 1; }; do sleep 0.01; done`;

async function lines(host: string): Promise<readonly string[]> {
  const text = await cluster.run(host, `docker exec writer cat /data/log`);
  return text.split("\n");
}

test("a running container never loses its volume; the move completes when it is stopped", async () => {
  await cluster.run(
    "h1",
    `docker run -d --name writer -v steady:/data --volume-driver flocker ${image} bash -c '${writer}'`,
  );
  const grown = async (): Promise<boolean> => {
    const before = (await lines("h1")).length;
    await cluster.eventually("more lines", 5_000, async () => (await lines("h1")).length > before);
    return true;
  };
  await grown();
  const second = await rest.node("h2");
  const { dataset_id: id } = await rest.view("steady");

  expect((await rest.move(id, second)).status).toBe(200);
  await grown();
  await cluster.signal("h1", "agent", "KILL");
  await grown();
  await cluster.signal("h1", "dockerd", "KILL");
  await cluster.eventually("the engine is back", 30_000, async () => {
    return (await cluster.exec("h1", ["docker", "info"])).status === 0;
  });
  await grown();
  await cluster.signal("h1", "control", "KILL");
  await cluster.nodesConnected();
  await grown();
  expect(await cluster.run("h1", "docker inspect -f '{{.State.Running}}' writer")).toBe("true");
  expect(await cluster.run("h1", "docker logs writer 2>&1")).toBe("");

  await cluster.run("h1", "docker stop -t 1 writer");
  await cluster.eventually("the move", 60_000, async () => {
    return (await rest.observed()).some(({ primary }) => primary === second);
  });
  const moved = await cluster.run(
    "h2",
    `docker run --rm -v steady:/data --volume-driver flocker ${image} cat /data/log`,
  );
  const numbers = moved.split("\n").map(Number);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  expect(numbers.length).toBeGreaterThan(100);
});

test("an agent that stands still gives nothing away; the move goes on when it goes on", async () => {
  await cluster.run(
    "h1",
    `docker run -d --name writer2 -v held:/data --volume-driver flocker ${image} sleep 1000`,
  );
  await cluster.signal("h1", "agent", "STOP");
  const waiting = cluster.run("h2", run("held", "echo here"));
  await cluster.eventually("the wish is known", 20_000, async () => {
    return (await rest.view("held")).condition !== null;
  });
  expect((await rest.view("held")).claim?.node).toBe(await rest.node("h1"));

  await cluster.signal("h1", "agent", "CONT");
  await cluster.run("h1", "docker rm -f writer2");
  expect(await waiting).toBe("here");
});
