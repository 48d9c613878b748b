import { array, asyncProperty, constantFrom, assert as hold } from "fast-check";
import { describe, expect, test } from "vitest";
import { parseClusterId, parseNodeId } from "../domain/ids.ts";
import type { DatasetRecord } from "../domain/record.ts";
import { FlockerError } from "../lib/errors.ts";
import { CommitPipeline } from "./commit-pipeline.ts";
import { ControlCore } from "./core/control-core.ts";
import type { CoreOutput } from "./core/state.ts";
import { MemoryMedium, openMemoryStore } from "./store/memory-store.ts";
import { coreContents } from "./store-contents.ts";
import type { Store } from "./store/store.ts";
import { testHello } from "./test-agent.ts";

const clusterId = parseClusterId("8f3a5c1e-5b0a-4c55-9d8e-3a7b4c1d2e3f");
const uuid = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
const nodes = [parseNodeId(uuid(0xa)), parseNodeId(uuid(0xb))] as const;

class World {
  readonly outputs: CoreOutput[] = [];
  readonly answered: DatasetRecord[] = [];
  readonly failures: FlockerError[] = [];
  readonly medium = new MemoryMedium();
  readonly core: ControlCore;
  readonly pipeline: CommitPipeline;
  readonly store: Store;
  readonly crash: () => void;
  nowMs = 1_000.5;
  #ids = 0x1000;

  constructor(wrap: (store: Store) => Store = (store) => store) {
    const newId = (): string => uuid((this.#ids += 1));
    const { store, contents } = openMemoryStore({ medium: this.medium, newId });
    this.core = new ControlCore({
      contents: coreContents(contents, clusterId),
      nowMs: this.nowMs,
      newId,
    });
    this.store = wrap(store);
    this.crash = () => store.crash();
    this.pipeline = new CommitPipeline({
      core: this.core,
      store: this.store,
      nowMs: () => this.nowMs,
      perform: (output) => void this.outputs.push(output),
      failed: (reason) => void this.failures.push(reason),
    });
  }

  hello(node: (typeof nodes)[number]): Promise<void> {
    const hello = testHello(node, clusterId, { instance: `of-${node}`, bootId: bootOf(node) });
    return this.pipeline.run((core, nowMs) => core.receive(`of-${node}`, hello, nowMs));
  }

  create(name: string): Promise<DatasetRecord> {
    return this.pipeline.create((core, nowMs) => core.create(wanted(name), nowMs));
  }

  /** Keeps the answer if there is one; failing is what a crash may do to it. */
  note(answer: Promise<DatasetRecord | void>): Promise<void> {
    return answer.then(
      (record) => {
        if (record !== undefined) this.answered.push(record);
        return undefined;
      },
      (error: unknown) => {
        if (!(error instanceof FlockerError)) throw error;
      },
    );
  }
}

const bootOf = (node: string) => testHello(parseNodeId(node), clusterId).bootId;

function wanted(name: string): Parameters<ControlCore["create"]>[0] {
  const rest = { maximumSizeBytes: null, pool: null, fileSystem: null, reclaim: null };
  return { datasetId: null, primary: nodes[0], metadata: { name }, ...rest };
}

type Step = "create" | "order" | "delete" | "hello" | "tick" | "turn";
const steps = array(
  constantFrom<Step>("create", "order", "delete", "hello", "tick", "turn", "turn"),
  { maxLength: 40 },
);

/** Runs the steps and cuts the power after the last, with whatever was on its way. */
async function run(world: World, list: readonly Step[]): Promise<void> {
  await world.hello(nodes[0]);
  const notes: Promise<void>[] = [];
  for (const [index, step] of list.entries()) {
    world.nowMs += 100;
    const last = [...world.core.state.records.keys()].at(-1) ?? uuid(1);
    const { pipeline } = world;
    if (step === "create") notes.push(world.note(world.create(`name-${index}`)));
    if (step === "order") {
      notes.push(world.note(pipeline.run((core, atMs) => core.order(last, nodes[1], atMs))));
    }
    if (step === "delete") {
      notes.push(world.note(pipeline.run((core, atMs) => core.delete(last, false, atMs))));
    }
    if (step === "hello") notes.push(world.note(world.hello(nodes[1])));
    if (step === "tick") {
      notes.push(world.note(pipeline.run((core, atMs) => core.tick(atMs))));
    }
    if (step === "turn") await new Promise((resolve) => setImmediate(resolve));
  }
  world.crash();
  // Creations that wait for an acknowledgement end with the next commit, which fails.
  await world.note(world.create("after-the-crash"));
  await Promise.all(notes);
}

describe("nothing leaves before it is durable", () => {
  test("whatever was sent or answered before a power cut is in the store after it", async () => {
    await hold(
      asyncProperty(steps, async (list) => {
        const world = new World();
        await run(world, list);

        const durable = world.medium.durable;
        const sent = world.outputs.flatMap((output) =>
          output.kind === "send" && output.message.kind === "records"
            ? output.message.entries.map(({ record }) => record)
            : [],
        );
        for (const { datasetId, revision } of [...sent, ...world.answered]) {
          expect(durable?.records.get(datasetId)?.revision).toBeGreaterThanOrEqual(revision);
        }
        expect(world.failures).toHaveLength(1);
      }),
    );
  });

  test("outputs leave in the order in which the core made them", async () => {
    await hold(
      asyncProperty(steps, async (list) => {
        const world = new World();
        await run(world, list);

        const revisions = world.outputs.flatMap((output) =>
          output.kind === "send" && output.message.kind === "records"
            ? [output.message.revision]
            : [],
        );
        expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
      }),
    );
  });

  test("a read waits for the commit of what it saw, and so does a refusal", async () => {
    const world = new World();
    await world.hello(nodes[0]);
    const order: string[] = [];
    const commit = world.store.commit([], world.core.state.revision);
    void commit.then(() => order.push("earlier commit"));
    void world.create("db");
    const read = world.pipeline.run(({ state }) => state.names.has("db"));
    void read.then(() => order.push("read"));
    const refused = world.create("db");
    void refused.catch(() => order.push("refusal"));

    await expect(read).resolves.toBe(true);
    await expect(refused).rejects.toMatchObject({ code: "NAME_IN_USE" });
    expect(order).toEqual(["earlier commit", "read", "refusal"]);
  });
});

describe("a pipeline that cannot go on", () => {
  test("tells it once, answers nothing and takes nothing more", async () => {
    const world = new World();
    await world.hello(nodes[0]);
    const before = world.outputs.length;
    const first = world.create("one");
    const second = world.pipeline.run(({ state }) => state.records.size);
    world.crash();

    await expect(first).rejects.toMatchObject({ code: "STORE_FAILED" });
    await expect(second).rejects.toMatchObject({ code: "STORE_FAILED" });
    await expect(world.hello(nodes[1])).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(world.outputs).toHaveLength(before);
    expect(world.failures).toHaveLength(1);
  });

  test("a bug in the core ends it as well", async () => {
    const world = new World();
    const broken = world.pipeline.run(() => {
      throw new TypeError("x is not a function");
    });

    await expect(broken).rejects.toMatchObject({ code: "INTERNAL" });
    expect(world.failures).toHaveLength(1);
  });
});

describe("a full disk", () => {
  test("creations are 507 and change nothing; what nodes say is still recorded", async () => {
    const world = new World((store) => ({
      commit: (writes, revision, options) => store.commit(writes, revision, options),
      audit: (limit) => store.audit(limit),
      isFull: () => true,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }));

    await expect(world.create("db")).rejects.toMatchObject({ code: "STORE_FULL" });
    await world.hello(nodes[0]);

    expect(world.core.state.records.size).toBe(0);
    expect(world.medium.durable?.nodes.size).toBe(1);
    expect(world.failures).toEqual([]);
  });
});
