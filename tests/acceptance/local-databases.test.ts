import { expect, test } from "vitest";
import { useCluster } from "../harness/cluster.ts";

const cluster = useCluster({ purpose: "local-databases", defaultPool: "btrfs" });
const image = "flocker-demo:1";
/** There and back again, ten times. */
const moves = 20;

const other = (host: string): string => (host === "h1" ? "h2" : "h1");

/**
 * Moves a database by stopping its container and starting it on the other host, while a client on
 * the way writes numbers one after the other and remembers those that were acknowledged.
 */
async function moveBackAndForth(database: {
  readonly name: string;
  readonly command: string;
  /** Writes the numbers from `from` on until it fails; prints each that was acknowledged. */
  readonly write: (from: number) => string;
  readonly read: string;
}): Promise<void> {
  const { name, command, write, read } = database;
  const acknowledged: number[] = [];
  let host = "h1";
  for (let move = 0; move <= moves; move += 1) {
    const start = `docker run -d --name ${name} -v ${name}:/data --volume-driver flocker ${image} ${command}`;
    await cluster.run(host, start);
    await cluster.eventually(`${name} on ${host}`, 60_000, async () => {
      const { status, stdout } = await cluster.exec(host, ["bash", "-c", read]);
      if (status !== 0) return false;
      const found = new Set(stdout.trim().split(/\s+/).map(Number));
      expect(acknowledged.filter((number) => !found.has(number))).toEqual([]);
      return true;
    });
    const client = cluster.exec(host, ["bash", "-c", write(acknowledged.length)]);
    await cluster.eventually(`writes of ${name}`, 30_000, async () => {
      const { stdout } = await cluster.exec(host, ["bash", "-c", read]);
      return stdout.trim().split(/\s+/).length >= acknowledged.length + 20;
    });
    await cluster.run(host, `docker kill ${name} && docker rm ${name}`);
    const { stdout } = await client;
    const numbers = stdout
      .trim()
      .split(/\s+/)
      .filter((text) => text !== "")
      .map(Number);
    expect(numbers.length).toBeGreaterThan(0);
    acknowledged.push(...numbers);
    host = other(host);
  }
  expect(acknowledged.length).toBeGreaterThan(20 * moves);
}

test.concurrent("a redis with appendfsync always loses no acknowledged write in 20 moves", async () => {
  await moveBackAndForth({
    name: "cache",
    command: "redis-server --dir /data --appendonly yes --appendfsync always",
    write: (from) =>
      `docker exec cache sh -c 'n=${from}; while [ "$(redis-cli rpush numbers $n 2>/dev/null)" -gt 0 ] 2>/dev/null; do echo $n; n=$((n+1)); done'`,
    read: "docker exec cache redis-cli ping | grep -q PONG && docker exec cache redis-cli lrange numbers 0 -1",
  });
});

test.concurrent("a postgres under load loses no acknowledged write in 20 moves", async () => {
  const psql = "psql -qAt -v ON_ERROR_STOP=1 -U postgres";
  await moveBackAndForth({
    name: "ledger",
    command: "serve-postgres /data",
    write: (from) =>
      `docker exec ledger sh -c 'n=${from}; while echo "insert into numbers values ($n) returning n" | ${psql} 2>/dev/null; do n=$((n+1)); done'`,
    read: `docker exec ledger ${psql} -c "create table if not exists numbers (n int)" -c "select n from numbers" 2>/dev/null`,
  });
});
