import { expect, test } from "vitest";
import { buildBundles } from "../../tools/build.ts";
import { copiesOf, hostBlocks } from "../docs/host-blocks.ts";
import { useCluster } from "../harness/cluster.ts";

const cluster = useCluster({ purpose: "readme", bare: true });

/** A person's shell knows nothing of the bed, but stops at the first error. */
const asReader = "set -e; unset FLOCKER_CONTROL_SERVICE FLOCKER_CERTS_PATH FLOCKER_USER";

const line = (script: string): string =>
  `docker run --rm -v shop:/data --volume-driver flocker flocker-demo:1 bash -c '${script}'`;

async function copy(
  [from, source]: readonly [string, string],
  [to, target]: readonly [string, string],
) {
  const { status, stdout, stderr } = await cluster.exec(from, ["cat", source]);
  if (status !== 0) throw new Error(`${from}:${source}: ${stderr}`);
  const script = 'umask 077 && cat > "$1"';
  const written = await cluster.exec(to, ["sh", "-c", script, "sh", target], { input: stdout });
  if (written.status !== 0) throw new Error(`${to}:${target}: ${written.stderr}`);
}

test("two hosts that have nothing of ours become a cluster by the README's own blocks", async () => {
  await buildBundles();
  for (const block of hostBlocks()) {
    if (block.host === "you") {
      for (const { from, to } of copiesOf(block)) await copy(from, to);
    } else await cluster.run(block.host, `${asReader}; cd '${process.cwd()}'\n${block.text}`);
  }

  await cluster.run("h1", line("echo kept > /data/file"));

  expect(await cluster.run("h2", line("cat /data/file"))).toBe("kept");
  expect(await cluster.run("h2", `${asReader}; flockerctl ls`)).toMatch(/name=shop.*attached/s);
});
