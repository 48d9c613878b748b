import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";

const cluster = useCluster({ purpose: "local-databases", defaultPool: "btrfs" });
const image = "flocker-demo:1";
/** There and back again, ten times. */
const moves = 20;

const other = (host: string): string => (host === "h1" ? "h2" : "h1");
const numbersIn = (text: string): readonly number[] =>
  text
    .trim()
    .split(/\s+/)
    .filter((word) => /^\d+$/.test(word))
    .map(Number);

type Database = {
  readonly name: string;
  readonly command: string;
  /** Runs in the container: writes the numbers from `$1` on, prints each that was acknowledged. */
  readonly write: string;
  /** Runs in the container: prints every number that is there. */
  readonly read: string;
};

/**
 * Moves a database by killing its container and starting it on the other host, while a client
 * writes one number after the other. Returns what was acknowledged and what of it was missing after
 * some move.
 */
async function moveBackAndForth({ name, command, write, read }: Database): Promise<{
  readonly acknowledged: readonly number[];
  readonly missing: readonly number[];
}> {
  const acknowledged: number[] = [];
  const missing: number[] = [];
  const inside = (host: string, script: string, ...args: readonly string[]) =>
    cluster.exec(host, ["docker", "exec", name, "sh", "-c", script, "sh", ...args]);
  let host = "h1";
  for (let move = 0; move <= moves; move += 1) {
    const options = `-d --name ${name} -v ${name}:/data --volume-driver flocker`;
    await cluster.run(host, `docker run ${options} ${image} ${command}`);
    await cluster.eventually(`${name} on ${host}`, 60_000, async () => {
      const { status, stdout } = await inside(host, read);
      if (status !== 0) return false;
      const found = new Set(numbersIn(stdout));
      missing.push(...acknowledged.filter((number) => !found.has(number)));
      return true;
    });
    const client = inside(host, write, String(acknowledged.length));
    await cluster.eventually(`writes of ${name}`, 30_000, async () => {
      const { stdout } = await inside(host, read);
      return numbersIn(stdout).length >= acknowledged.length + 20;
    });
    await cluster.run(host, `docker kill ${name} && docker rm ${name}`);
    acknowledged.push(...numbersIn((await client).stdout));
    host = other(host);
  }
  return { acknowledged, missing };
}

test("a redis with appendfsync always loses no acknowledged write in 20 moves", async () => {
  const { acknowledged, missing } = await moveBackAndForth({
    name: "cache",
    command: "redis-server --dir /data --appendonly yes --appendfsync always",
    write: `n=$1
      while [ "$(redis-cli rpush numbers $n 2>/dev/null)" -gt 0 ] 2>/dev/null
      do echo $n; n=$((n+1)); done`,
    read: "redis-cli ping | grep -q PONG && redis-cli lrange numbers 0 -1",
  });

  expect(missing).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(15 * moves);
});

test("a postgres under load loses no acknowledged write in 20 moves", async () => {
  const psql = "psql -qAt -v ON_ERROR_STOP=1 -U postgres";
  const { acknowledged, missing } = await moveBackAndForth({
    name: "ledger",
    command: "serve-postgres /data",
    write: `n=$1
      while echo "insert into numbers values ($n) returning n" | ${psql} 2>/dev/null
      do n=$((n+1)); done`,
    read: `${psql} -c "create table if not exists numbers (n int)" -c "select n from numbers"`,
  });

  expect(missing).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(15 * moves);
});
