import { composeDirectory, composeFile } from "./demo-compose.ts";
import { imageName } from "./testbed/image.ts";
import { type Bed } from "./testbed/bed.ts";
import { execIn } from "./testbed/host.ts";
import { until } from "./testbed/linux/until.ts";

const container = "shop";
const dockerRun = `docker run -d --name ${container} -v shop:/data --volume-driver flocker ${imageName}`;
const hostCount = 2;

type Story = {
  readonly bed: Bed;
  readonly say: (text: string) => void;
  /** Tells a command and runs it in a host; resolves with its trimmed output. */
  readonly run: (host: string, command: string) => Promise<string>;
};

/** The main job, told while it is done: volumes that are where their containers are. */
export async function tellStory(bed: Bed, keep: boolean): Promise<void> {
  const startedAt = Date.now();
  const say = (text: string): void => {
    console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  };
  const run = async (host: string, command: string): Promise<string> => {
    say(`${host}# ${command}`);
    return (await runIn(bed, host, command)).trim();
  };
  try {
    if (bed.hosts().length > 0) say("removing the hosts of an earlier run");
    say("making two hosts, h1 and h2, each with a Docker Engine and a disk of its own");
    await bed.up(hostCount);
    await clusterReady(bed);
    say("they are up; the control service runs on h1, an agent on each");
    const story = { bed, say, run };
    await tellRedis(story);
    await tellCompose(story);
    console.log((await run("h2", "flockerctl ls")).replaceAll(/^/gm, "            "));
  } catch (error) {
    await showLogs(bed);
    if (!keep) await bed.down();
    else bed.keep();
    throw error;
  }
  if (keep) {
    bed.keep();
    say("the hosts stay up");
    console.log(keptHint);
    return;
  }
  await bed.down();
  say("everything that was made is removed");
  console.log(endHint);
}

async function tellRedis({ bed, say, run }: Story): Promise<void> {
  const on = (host: string, command: string): Promise<string> => runIn(bed, host, command);
  await run("h1", dockerRun);
  await redisReady(bed, "h1", container);
  for (const [key, value] of Object.entries(stock)) {
    await on("h1", `docker exec ${container} redis-cli set ${key} ${value}`);
  }
  say(`a redis in the volume "shop" keeps ${Object.keys(stock).length} keys`);
  const before = await sentBytes(bed, "h1");
  await run("h1", `docker rm -f ${container}`);
  await run("h2", dockerRun);
  await redisReady(bed, "h2", container);
  const sent = (await sentBytes(bed, "h1")) - before;
  say(`the same line on the other host: the volume has followed (h1 sent ${inUnits(sent)})`);
  for (const [key, value] of Object.entries(stock)) {
    const found = await run("h2", `docker exec ${container} redis-cli get ${key}`);
    if (found !== value) throw new Error(`${key} should be ${value}, but is "${found}"`);
  }
  say("every key is there");
}

/** Two databases in two pools, moved together by docker-compose. */
async function tellCompose({ bed, say, run }: Story): Promise<void> {
  for (const host of ["h1", "h2"]) {
    const write = `mkdir -p ${composeDirectory} && cat > ${composeDirectory}/docker-compose.yml`;
    await runIn(bed, host, write, composeFile);
  }
  const compose = async (host: string, line: string): Promise<string> => {
    say(`${host}# docker-compose ${line}`);
    // An emulated machine needs more than the minute that it waits for one answer.
    const patient = `export COMPOSE_HTTP_TIMEOUT=600; docker-compose ${line}`;
    return (await runIn(bed, host, `cd ${composeDirectory} && ${patient}`)).trim();
  };
  const query = (host: string, sql: string): Promise<string> =>
    compose(host, `exec -T db psql -qAt -U postgres -c "${sql}"`);
  say("an application of a redis (pool default) and a postgres (pool san), in a compose file");
  await run("h1", "docker volume create --driver flocker --opt pool=san orders");
  await compose("h1", "up -d");
  await composeReady(bed, "h1");
  await query("h1", "create table orders as select 42 as number");
  await compose("h1", "exec -T cache redis-cli set session open");
  await compose("h1", "down");
  await compose("h2", "up -d");
  await composeReady(bed, "h2");
  const order = await query("h2", "select number from orders");
  const session = await compose("h2", "exec -T cache redis-cli get session");
  if (order !== "42" || session !== "open") {
    throw new Error(`expected order 42 and session open, found "${order}" and "${session}"`);
  }
  say("both databases have followed, with what was in them");
}

async function composeReady(bed: Bed, host: string): Promise<void> {
  const ready = [
    "exec -T cache redis-cli ping | grep -q PONG",
    "exec -T db pg_isready -q -h /var/run/postgresql",
  ].map((line) => `docker-compose ${line}`);
  const line = `cd ${composeDirectory} && ${ready.join(" && ")}`;
  await until(`the application on ${host}`, 60_000, async () => {
    const { status } = await execIn(bed.paths, host, ["sh", "-c", line]);
    return status === 0;
  });
}

/** What a host has sent over the network since it was made. */
async function sentBytes(bed: Bed, host: string): Promise<number> {
  return Number(await runIn(bed, host, "cat /sys/class/net/eth0/statistics/tx_bytes"));
}

function inUnits(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

const stock: Readonly<Record<string, string>> = { apples: "12", pears: "7" };

const keptHint = `
Try next:
  ./demo exec h1 flockerctl ls          who has what, and why
  ./demo exec h2 docker ps              any command, in any host
  ./demo crash h2; ./demo boot h2       pull the plug
  ./demo help                           what else there is
  ./demo down                           remove everything`;

const endHint = `
Try next:
  ./demo --keep                         the same, and the hosts stay up for you
  ./demo help                           what can be done with them
  README.md                             how to set up real hosts`;

/** Runs a line of shell in a host; throws, with what it said, when it fails. */
async function runIn(bed: Bed, host: string, line: string, input = ""): Promise<string> {
  const how = { input, deadlineMs: 900_000 };
  const { status, stdout, stderr } = await execIn(bed.paths, host, ["sh", "-c", line], how);
  if (status !== 0) throw new Error(`${host}: ${line}: status ${status}\n${stderr.trim()}`);
  return stdout;
}

/** Waits until the control service knows all nodes: their agents have said hello. */
export async function clusterReady(bed: Bed): Promise<void> {
  const credentials = ["cacert cluster.crt", "cert user.crt", "key user.key"]
    .map((pair) => `--${pair.replace(" ", " /etc/flocker/")}`)
    .join(" ");
  const line = `curl -sf -m 5 ${credentials} https://control-service:4523/v1/state/nodes`;
  const expected = bed.hosts().filter(({ bare }) => !bare).length;
  await until("all agents connected", 120_000, async () => {
    const nodes: unknown = JSON.parse(await runIn(bed, "h1", line));
    return Array.isArray(nodes) && nodes.length >= expected;
  });
}

async function redisReady(bed: Bed, host: string, name: string): Promise<void> {
  const line = `docker exec ${name} redis-cli ping`;
  await until(`redis on ${host}`, 60_000, async () =>
    (await runIn(bed, host, line)).includes("PONG"),
  );
}

/** What a person needs to see why the story did not go well. */
export async function showLogs(bed: Bed): Promise<void> {
  for (const { name } of bed.hosts().filter((host) => bed.isUp(host.name))) {
    const line = `tail -n 15 /var/log/flocker/*.log 2>/dev/null
      grep -v level=info /var/log/dockerd.log | tail -n 15`;
    const { stdout } = await execIn(bed.paths, name, ["sh", "-c", line]);
    console.error(`--- ${name}\n${stdout}`);
  }
}
