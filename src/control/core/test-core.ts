import { parseBootId, parseClusterId, type NodeId } from "../../domain/ids.ts";
import type { Pool } from "../../domain/pool.ts";
import type { Hello } from "../../protocol/agent-messages.ts";
import { ControlCore } from "./control-core.ts";

export const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
export const clusterId = parseClusterId(uuid(1));
const pool: Pool = {
  name: "default",
  driver: "memory",
  defaultSizeBytes: 2 ** 30,
  capabilities: {
    kind: "attachable",
    exclusive: "enforced",
    fence: "none",
    sizeBytesMin: 2 ** 26,
    sizeBytesStep: 1024,
    sizeBytesMax: 2 ** 40,
    attachedMax: 16,
    listDelayMsMax: 0,
    operationMsMax: 1_000,
  },
};

export function helloOf(node: NodeId, boot: number): Hello {
  return {
    kind: "hello",
    protocol: 1,
    version: "test",
    node,
    clusterId,
    fingerprint: node,
    bootId: parseBootId(uuid(boot)),
    runId: uuid(boot + 1),
    instance: uuid(boot + 2),
    address: { host: "10.0.0.1", peerPort: 4525 },
    pools: [pool],
    seen: null,
    recordsDigest: "",
    namesDigest: "",
    holdings: [],
    nodes: [],
    heldOps: [],
  };
}

/** A control core on an empty store. */
export function coreOf(): ControlCore {
  let ids = 100;
  return new ControlCore({
    contents: {
      storeId: uuid(2),
      clusterId,
      revision: 0,
      starts: [{ term: 1, instance: uuid(3), firstRevision: 0 }],
      records: [],
      nodes: [],
      recovering: false,
      everRecovered: false,
      readOnly: null,
    },
    nowMs: 0,
    newId: () => uuid((ids += 1)),
  });
}
