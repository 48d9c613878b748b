import { expect, test } from "vitest";
import { type HostBlock, copiesOf, hostBlocks } from "../docs/host-blocks.ts";
import { useCluster } from "../harness/cluster.ts";

const cluster = useCluster({ purpose: "readme", bare: true });
/** A name that the checkout which is tested hardly has: hosts see that one too. */
const checkout = "/root/readme-checkout";

/** A checkout that the host can write to, with packages that cannot be fetched there. */
async function cloneInto(host: string): Promise<void> {
  const from = cluster.bed.paths.checkout;
  const without = ["./.git", "./.cache", "./dist", "node_modules"].map(
    (path) => `--exclude=${path}`,
  );
  const packages = ["node_modules", "tools/toolchain/node_modules"];
  await cluster.run(
    host,
    `set -e; mkdir ${checkout}; cd ${checkout}; tar -C ${from} ${without.join(" ")} -c . | tar -x
     ${packages.map((path) => `ln -s ${from}/${path} ${path}`).join("\n")}
     docker tag flocker-demo:1 debian:12`,
  );
}

/** Runs a block as a person would who stops at the first line that fails. */
async function runBlock(block: HostBlock): Promise<string> {
  if (block.host !== "you") {
    return cluster.run(block.host, `cd ${checkout}; set -e\n${block.text}`);
  }
  for (const { from, to } of copiesOf(block)) await copy(from, to);
  return "";
}

/** What `scp -r` does, between hosts that have no ssh. */
async function copy(
  [from, source]: readonly [string, string],
  [to, target]: readonly [string, string],
): Promise<void> {
  const input = await cluster.run(from, `tar -C ${source} -c . | base64 -w 0`);
  await cluster.run(to, `mkdir ${target} && base64 -d | tar -C ${target} -x`, { input });
}

test("two hosts that have nothing of ours become a cluster by the README's own blocks", async () => {
  await Promise.all([cloneInto("h1"), cloneInto("h2")]);
  const printed: string[] = [];
  for (const block of hostBlocks()) {
    const { host, text } = block;
    const isList = text.trim() === "flockerctl list-nodes";
    // A person, too, asks again until both agents have said hello.
    const said = await cluster.eventually(`${host}: ${text}`, isList ? 60_000 : 0, async () => {
      const output = await runBlock(block);
      return !isList || output.split("\n").length === 3 ? { output } : null;
    });
    printed.push(said.output);
  }

  const [stock, head, row, ...more] = (printed.at(-1) ?? "").split("\n");
  expect(stock).toBe("apples");
  expect(head).toMatch(/^DATASET .* STATUS +SERVER/);
  expect(row).toMatch(/name=shop +attached ✅ +\S+ \(10\.77\.0\.2\)/);
  expect(more).toEqual([]);
});

test("keys are readable by root alone, and the authority's never leaves its machine", async () => {
  for (const host of ["h1", "h2"]) {
    const open = "find /etc/flocker /root/flocker-ca -name '*.key' -perm /077 2>/dev/null || true";
    expect(await cluster.run(host, open)).toBe("");
  }
  expect(await cluster.run("h2", "find /etc /root -name cluster.key")).toBe("");
  expect(await cluster.run("h1", "find /etc /root -name cluster.key")).toBe(
    "/root/flocker-ca/cluster.key",
  );
});
