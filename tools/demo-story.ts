import { imageName } from "./testbed/image.ts";
import { type Bed } from "./testbed/bed.ts";
import { execIn } from "./testbed/host.ts";
import { until } from "./testbed/linux/until.ts";

const container = "shop";
const dockerRun = `docker run -d --name ${container} -v shop:/data --volume-driver flocker ${imageName}`;
const hostCount = 2;

/** The main job, told while it is done: a volume that is where its container is. */
export async function tellStory(bed: Bed, keep: boolean): Promise<void> {
  const startedAt = Date.now();
  const say = (text: string): void => {
    console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  };
  const on = (host: string, command: string): Promise<string> => runIn(bed, host, command);
  const tellAndRun = async (host: string, command: string): Promise<string> => {
    say(`${host}# ${command}`);
    return (await on(host, command)).trim();
  };
  try {
    if (bed.hosts().length > 0) say("removing the hosts of an earlier run");
    say("making two hosts, h1 and h2, each with a Docker Engine and a disk of its own");
    await bed.up(hostCount);
    await clusterReady(bed);
    say("they are up; the control service runs on h1, an agent on each");
    await tellAndRun("h1", dockerRun);
    await redisReady(bed, "h1");
    for (const [key, value] of Object.entries(stock)) {
      await on("h1", `docker exec ${container} redis-cli set ${key} ${value}`);
    }
    say(`a redis in the volume "shop" keeps ${Object.keys(stock).length} keys`);
    await tellAndRun("h1", `docker rm -f ${container}`);
    await tellAndRun("h2", dockerRun);
    await redisReady(bed, "h2");
    say("the same line on the other host: the volume has followed");
    for (const [key, value] of Object.entries(stock)) {
      const found = await tellAndRun("h2", `docker exec ${container} redis-cli get ${key}`);
      if (found !== value) throw new Error(`${key} should be ${value}, but is "${found}"`);
    }
    say("every key is there");
    console.log((await tellAndRun("h2", "flockerctl ls")).replaceAll(/^/gm, "            "));
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
async function runIn(bed: Bed, host: string, line: string): Promise<string> {
  const { status, stdout, stderr } = await execIn(bed.paths, host, ["sh", "-c", line]);
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

async function redisReady(bed: Bed, host: string): Promise<void> {
  const line = `docker exec ${container} redis-cli ping`;
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
