import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { agentOf } from "../../src/agent/core/test-agent.ts";
import { openBackend } from "../../src/backends/registry.ts";
import type { ControlCore } from "../../src/control/core/control-core.ts";
import {
  a,
  b,
  c,
  clusterId,
  coreOf,
  helloOf,
  pool,
  uuid,
} from "../../src/control/core/test-core.ts";
import type { DatasetId, NodeId } from "../../src/domain/ids.ts";
import type { Pool } from "../../src/domain/pool.ts";
import { silentLogger } from "../../src/lib/log.ts";
import type { Hello } from "../../src/protocol/agent-messages.ts";

const dayMs = 86_400_000;

const slowPool: Pool = {
  ...pool,
  capabilities: { ...pool.capabilities, operationMsMax: 60_000 },
};

function helloFrom(node: NodeId): Hello {
  return { ...helloOf(node, 200 + 10 * [a, b, c].indexOf(node)), pools: [slowPool] };
}

/** A control service whose node `a` holds a dataset with a volume; `b` and `c` are there. */
function clusterWithHolder(): { readonly core: ControlCore; readonly datasetId: DatasetId } {
  const core = coreOf();
  for (const node of [a, b, c]) core.receive(node, helloFrom(node), 0);
  const { datasetId } = core.create(
    {
      datasetId: null,
      primary: a,
      metadata: { name: "db" },
      maximumSizeBytes: null,
      pool: null,
      fileSystem: null,
      reclaim: null,
    },
    0,
  );
  const { revision } = core.state;
  for (const node of [a, b, c]) core.receive(node, { kind: "ack", revision }, 0);
  return { core, datasetId };
}

function recordOf(core: ControlCore, datasetId: DatasetId) {
  const record = core.state.records.get(datasetId);
  if (record === undefined) throw new Error("the dataset is gone");
  return record;
}

test("a silent node keeps its claim", () => {
  const { core, datasetId } = clusterWithHolder();

  core.disconnected(a, 1_000);
  core.order(datasetId, b, 2_000);
  core.receive(b, { kind: "wish", datasetId, remainingMs: 30 * dayMs, ageMs: 0 }, 2_000);
  for (let day = 1; day <= 14; day += 1) core.tick(day * dayMs);

  expect(recordOf(core, datasetId).claim).toMatchObject({ node: a, generation: 1 });
});

test("an op is handed to another node once operationMsMax has passed", () => {
  const { core, datasetId } = clusterWithHolder();
  core.disconnected(a, 0);
  core.declareDead(a, false, 0);
  const first = recordOf(core, datasetId).op?.executor?.node ?? null;
  if (first === null) throw new Error("nobody was asked to detach it");

  // Its agent was started again: no child process holds the op any more.
  core.disconnected(first, 1_000);
  core.receive(first, { ...helloFrom(first), instance: uuid(99) }, 1_000);
  core.disconnected(first, 1_000);
  core.tick(60_999);
  const before = recordOf(core, datasetId).op?.executor?.node;
  core.tick(61_000);

  expect(before).toBe(first);
  expect([a, first, null]).not.toContain(recordOf(core, datasetId).op?.executor?.node ?? null);
  expect(recordOf(core, datasetId).claim).toBeNull();
});

test("a name that this node never stored is denied while nobody can be asked", () => {
  for (const unknownNames of ["deny", "hold"] as const) {
    const core = agentOf({ unknownNames });

    const effects = core.step({ kind: "called", callId: 1, call: { kind: "get", name: "new" } }, 0);

    const answer = unknownNames === "deny" ? { kind: "error" } : { kind: "volume" };
    expect(effects).toMatchObject([{ kind: "answer", callId: 1, answer }]);
  }
});

test("loopback declares that it is advisory and cannot fence", async () => {
  const directory = mkdtempSync(join(tmpdir(), "flocker-san-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));

  const { backend } = await openBackend(
    { backend: "loopback", options: { root_path: directory } },
    { clusterId, pool: "san", runDir: directory, dataDir: directory, log: silentLogger },
  );
  onTestFinished(() => backend[Symbol.asyncDispose]());

  expect(backend.capabilities).toMatchObject({ exclusive: "advisory", fence: "none" });
});
