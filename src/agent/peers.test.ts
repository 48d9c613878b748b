import { once } from "node:events";
import type { Readable } from "node:stream";
import { request } from "node:https";
import type { ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Call } from "../backends/attachable.ts";
import type { LocalBackend } from "../backends/local.ts";
import { MemoryLocal } from "../backends/memory/memory-local.ts";
import { MemoryPool, type MemoryVolume } from "../backends/memory/memory-pool.ts";
import { createNodeCredential } from "../ca/create-credential.ts";
import { makeTestCluster, type TestCluster } from "../ca/test-cluster.ts";
import { loadTls, peerTls, serverTls, type TlsCredentials } from "../ca/tls.ts";
import { type NodeId, parseClusterId, parseNodeId } from "../domain/ids.ts";
import { freshLocal, ops } from "../domain/record-samples.ts";
import type { DatasetRecord, Move } from "../domain/record.ts";
import type { Identity } from "../domain/volume.ts";
import { FlockerError } from "../lib/errors.ts";
import { type Fields, silentLogger } from "../lib/log.ts";
import type { Progress } from "../protocol/agent-messages.ts";
import type { Incoming } from "./local/peers.ts";
import { PeerClient } from "./peer-client.ts";
import { pathOf } from "./peer-protocol.ts";
import { PeerServer } from "./peer-server.ts";

const { datasetId } = freshLocal;
const clusterId = parseClusterId("00000000-0000-4000-8000-000000000001");
const [move, otherMove] = ops;
const sizeBytes = 64 << 20;

function missing(): never {
  throw new Error("no sample");
}

type Party = { readonly node: NodeId; readonly credentials: TlsCredentials };

let cluster: TestCluster;
let other: TestCluster;
let source: Party;
let target: Party;
let stranger: Party;

async function newParty({ directory, node }: TestCluster): Promise<Party> {
  const made = await createNodeCredential({ input: directory, output: directory }, Date.now());
  const { certificate, key } = made;
  const credentials = await loadTls({ authority: node.authority, certificate, key }, "node");
  return { node: parseNodeId(made.base), credentials };
}

beforeAll(async () => {
  cluster = await makeTestCluster();
  other = await makeTestCluster();
  source = await newParty(cluster);
  target = await newParty(cluster);
  stranger = await newParty(cluster);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

function call(signal = new AbortController().signal): Call {
  return { signal, deadlineMs: 10_000, log: silentLogger };
}

/** A driver with something between it and its stream. */
class Sender extends MemoryLocal {
  instead: LocalBackend["send"] | null = null;

  override send(...args: Parameters<LocalBackend["send"]>): ReturnType<LocalBackend["send"]> {
    return this.instead === null ? super.send(...args) : this.instead(...args);
  }
}

/** The source's agent, as far as its peers see it, over a pool with one dataset in it. */
class Source implements AsyncDisposable {
  readonly pool = new MemoryPool("source", clusterId);
  readonly backend = new Sender(this.pool);
  readonly logged: Fields[] = [];
  disturbed = 0;
  phase: Move["phase"] = "precopy";
  announces = true;
  readonly server: PeerServer;
  port = 0;

  constructor(bytesPerSecond: number | null = null) {
    this.server = new PeerServer({
      tls: serverTls(source.credentials, "TLSv1.3"),
      log: { ...silentLogger, warn: (_, fields = {}) => void this.logged.push(fields) },
      announced: (id) => (this.announces && id === move ? this.record : null),
      backend: () => this.backend,
      call: (_, signal) => call(signal),
      disturbed: () => void (this.disturbed += 1),
      bytesPerSecond,
      idleMsMax: 5_000,
    });
  }

  get record(): DatasetRecord {
    const { phase } = this;
    const ends = { source: source.node, target: target.node };
    return { ...freshLocal, move: { id: move, ...ends, phase, generation: 0, openedAtMs: 1 } };
  }

  async start(): Promise<void> {
    const { lineage } = freshLocal;
    const identity: Identity = { clusterId, datasetId, lineage, generation: 0 };
    await this.backend.create({ datasetId, sizeBytes, identity }, call());
    this.server.server.listen(0, "127.0.0.1");
    await once(this.server.server, "listening");
    const address = this.server.server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
  }

  get volume(): MemoryVolume {
    return this.pool.at(datasetId).volume ?? missing();
  }

  write(name: string, text: string): void {
    this.pool.write(this.volume, name, text);
  }

  async seal(): Promise<void> {
    this.server.withdraw(datasetId);
    await this.backend.seal({ datasetId, move }, call());
    this.phase = "sealed";
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

/** The target's agent. */
class Target {
  readonly pool = new MemoryPool("target", clusterId);
  readonly backend = new MemoryLocal(this.pool);
  readonly progress: Progress[] = [];
  readonly client: PeerClient;
  readonly #from: Source;

  constructor(from: Source, party = target, expected = source.node) {
    this.#from = from;
    this.client = new PeerClient({
      tls: () => peerTls(party.credentials, expected),
      progressed: (_, progress) => void this.progress.push(progress),
      idleMsMax: 5_000,
    });
  }

  stage(stage: Incoming["stage"], onBase = stage === "delta", id = move): Incoming {
    const address = { host: "127.0.0.1", port: this.#from.port };
    return { datasetId, move: id, stage, onBase, source: source.node, address };
  }

  async take(stage: Incoming["stage"]): Promise<void> {
    const incoming = this.stage(stage);
    const sum = await this.client.fetch(incoming, this.backend, call());
    if (stage === "delta") await this.client.confirm(incoming, sum, call());
    await this.backend.accept(incoming, call());
  }

  async kinds(): Promise<readonly string[]> {
    return (await this.backend.look(datasetId, call())).map(({ kind }) => kind);
  }

  async content(): Promise<unknown> {
    await this.backend.promote({ datasetId, move, sizeBytes }, call());
    return Object.fromEntries(this.pool.at(datasetId).volume?.files ?? []);
  }
}

async function started(bytesPerSecond: number | null = null): Promise<Source> {
  const made = new Source(bytesPerSecond);
  await made.start();
  return made;
}

test("the bulk, then the rest: byte for byte what was sealed", async () => {
  await using from = await started();
  const to = new Target(from);
  from.write("early", "1".repeat(300_000));
  await to.take("base");
  from.write("late", "2");
  await from.seal();
  await to.take("delta");

  expect(await to.content()).toEqual({ early: "1".repeat(300_000), late: "2" });
  expect(to.progress[0]).toMatchObject({ stage: "base", totalBytes: 300_000 });
  expect(from.logged).toEqual([]);
});

test("a source that lost its base sends everything, and says so", async () => {
  await using from = await started();
  const to = new Target(from);
  from.write("early", "1");
  await to.take("base");
  from.pool.at(datasetId).sent.clear();
  await from.seal();
  await to.take("delta");

  expect(await to.content()).toEqual({ early: "1" });
});

describe("is refused, with a code and one line in the source's log:", () => {
  let from: Source;
  beforeEach(async () => {
    from = await started();
    return () => from[Symbol.asyncDispose]();
  });

  /** The codes that the target is told and that the source logs. */
  const asked = async (to: Target, incoming = to.stage("base")): Promise<readonly unknown[]> => {
    const told = await to.client
      .fetch(incoming, to.backend, call())
      .catch((error: unknown) => (error instanceof FlockerError ? error.code : error));
    expect(await to.kinds()).toEqual([]);
    return [told, ...from.logged.map(({ code }) => code)];
  };

  test("a move that is not announced", async () => {
    const to = new Target(from);
    const codes = await asked(to, to.stage("base", false, otherMove));
    expect(codes).toEqual(["NOT_AUTHORIZED", "NOT_AUTHORIZED"]);
  });

  test("a move that was announced and has ended", async () => {
    from.announces = false;
    expect(await asked(new Target(from))).toEqual(["NOT_AUTHORIZED", "NOT_AUTHORIZED"]);
  });

  test("a node of the cluster to which the move does not go", async () => {
    const codes = await asked(new Target(from, stranger));
    expect(codes).toEqual(["NOT_AUTHORIZED", "NOT_AUTHORIZED"]);
  });

  test("the delta before the seal", async () => {
    const to = new Target(from);
    const codes = await asked(to, to.stage("delta"));
    expect(codes).toEqual(["REVISION_CONFLICT", "REVISION_CONFLICT"]);
  });

  test("the bulk after the seal", async () => {
    await from.seal();
    expect(await asked(new Target(from))).toEqual(["REVISION_CONFLICT", "REVISION_CONFLICT"]);
  });

  test("anything that is no request of this protocol", async () => {
    const to = peerTls(target.credentials, source.node);
    expect(await get(from.port, "/v1/streams/x/base", to)).toContain("NOT_FOUND");
    expect(from.logged).toHaveLength(1);
  });
});

describe("is closed before a byte is answered:", () => {
  test.each(["user", "control", "foreign", "none"] as const)("a certificate: %s", async (who) => {
    await using from = await started();
    const { ca } = source.credentials;
    const shown = await {
      user: () => loadTls(cluster.user, "user"),
      control: () => loadTls(cluster.control, "control"),
      foreign: () => loadTls(other.node, "node"),
      none: async () => ({ cert: undefined, key: undefined }),
    }[who]();
    const path = pathOf({ kind: "stream", move, stage: "base", onBase: false });
    const { cert, key } = shown;
    const identity = cert === undefined || key === undefined ? {} : { cert, key };
    const tls = { ca, ...identity, checkServerIdentity: () => undefined };

    await expect(get(from.port, path, tls)).rejects.toThrow(/alert|ECONNRESET|hang up|socket/);
    expect(from.logged).toHaveLength(1);
  });
});

test("nothing is asked of another node that answers at the source's address", async () => {
  await using from = await started();
  const to = new Target(from, target, stranger.node);

  await expect(to.client.fetch(to.stage("base"), to.backend, call())).rejects.toMatchObject({
    code: "CERTIFICATE_INVALID",
  });
});

describe("a stream", () => {
  test("that breaks leaves a partial copy, and the next one is whole", async () => {
    await using from = await started();
    const to = new Target(from);
    from.write("file", "1");
    from.backend.instead = async (_stream, sink) => {
      sink.write("the beginning of");
      await new Promise((resolve) => setImmediate(resolve));
      const error = new Error("the disk is gone");
      sink.destroy(error);
      throw error;
    };
    await expect(to.take("base")).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    expect(await to.kinds()).toEqual(["partial"]);

    from.backend.instead = null;
    await to.take("base");
    expect(await to.kinds()).toEqual(["base"]);
  });

  test("that ends without the source's sum is not taken for whole", async () => {
    await using from = await started();
    const to = new Target(from);
    const { sums } = lying();
    from.backend.instead = async (stream, sink, given) => {
      await new MemoryLocal(from.pool).send(stream, sink, given);
      return sums;
    };
    await expect(to.take("base")).rejects.toMatchObject({ code: "COMMAND_FAILED" });
    expect(await to.kinds()).toEqual(["partial"]);
  });

  test("into a pool without the room is refused before it begins", async () => {
    await using from = await started();
    const to = new Target(from);
    from.write("file", "1".repeat(1_000));
    Object.assign(to.pool, { sizeBytes: 500 });

    await expect(to.take("base")).rejects.toMatchObject({ code: "POOL_FULL" });
  });

  test("ends at once on both sides when its reason has gone", async () => {
    await using from = await started();
    const to = new Target(from);
    const abort = new AbortController();
    const ended = Promise.withResolvers<unknown>();
    from.backend.instead = (_stream, sink, { signal }) => {
      sink.write("the beginning");
      abort.abort(new Error("the move has ended"));
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          ended.resolve(signal.reason);
          reject(new Error("stopped"));
        });
      });
    };
    const fetched = to.client.fetch(to.stage("base"), to.backend, call(abort.signal));

    await expect(fetched).rejects.toThrow(/move has ended|abort/);
    expect(await ended.promise).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  });

  test("gives way to another one of the same move and stage", async () => {
    await using from = await started();
    const to = new Target(from);
    const begun = Promise.withResolvers<void>();
    from.backend.instead = (_stream, sink, { signal }) => {
      from.backend.instead = null;
      begun.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          sink.destroy();
          reject(new Error("stopped"));
        });
      });
    };
    const first = to.client.fetch(to.stage("base"), new MemoryLocal(to.pool), call());
    const gaveWay = first.catch((error: unknown) => error);
    await begun.promise;
    await to.take("base");

    expect(await gaveWay).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    expect(await to.kinds()).toEqual(["base"]);
  });

  test("passes no faster than the node's limit", async () => {
    await using from = await started(200_000);
    const to = new Target(from);
    from.write("file", "1".repeat(100_000));
    const begunMs = performance.now();
    await to.take("base");

    expect(performance.now() - begunMs).toBeGreaterThan(150);
  });
});

async function withBase(): Promise<{ from: Source; to: Target }> {
  const from = await started();
  const to = new Target(from);
  from.write("file", "1");
  await to.take("base");
  await from.seal();
  return { from, to };
}

describe("the source confirms", () => {
  test("nothing once somebody wrote after the seal; it is told to seal anew", async () => {
    const { from, to } = await withBase();
    await using _ = from;
    const incoming = to.stage("delta");
    const sum = await to.client.fetch(incoming, to.backend, call());
    from.write("late", "2");
    await expect(to.client.confirm(incoming, sum, call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
    });
    expect(from.disturbed).toBe(1);

    await from.seal();
    await to.take("delta");
    expect(await to.content()).toEqual({ file: "1", late: "2" });
  });

  test("nothing that was sent of an earlier seal", async () => {
    const { from, to } = await withBase();
    await using _ = from;
    const incoming = to.stage("delta");
    const sum = await to.client.fetch(incoming, to.backend, call());
    from.write("late", "2");
    await from.seal();

    await expect(to.client.confirm(incoming, sum, call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
    });
  });

  test("nothing that it did not send", async () => {
    const { from, to } = await withBase();
    await using _ = from;
    const { sums } = lying();

    await expect(to.client.confirm(to.stage("delta"), sums, call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
    });
  });
});

function lying() {
  return { sums: { bytes: 1, digest: "0".repeat(64) } };
}

function get(port: number, path: string, tls: ConnectionOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...tls, host: "127.0.0.1", port, path, agent: false }, (response) => {
      bodyOf(response).then(resolve, reject);
    });
    asked.on("error", reject);
    asked.end();
  });
}

async function bodyOf(response: Readable): Promise<string> {
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return body;
}
