import { assert } from "../../lib/assert.ts";
import { hasCode } from "../../lib/errors.ts";
import { type NodeId, parseNodeId } from "../../domain/ids.ts";
import { sampleId, sampleRecord, sampleUuid } from "./store-samples.ts";
import type { AuditLimits, OpenedStore, StoreContents, StoreWrite } from "./store.ts";

/** What a store must bring along to be judged: the same medium opened again and again. */
export type StoreHarness = {
  open(limits?: AuditLimits): Promise<OpenedStore>;
};

export type StoreCase = {
  /** A fact of the port's documentation. */
  readonly name: string;
  readonly run: (harness: StoreHarness) => Promise<void>;
};

const create = (n: number, revision: number): StoreWrite => ({
  kind: "record",
  record: sampleRecord(n, revision),
  expectedRevision: null,
});
const change = (n: number, from: number, to: number): StoreWrite => ({
  kind: "record",
  record: sampleRecord(n, to),
  expectedRevision: from,
});
const node: NodeId = parseNodeId(sampleUuid(0xa));

/** Opens, works and closes; the answer is what the next start finds. */
async function reopened(
  harness: StoreHarness,
  work: (opened: OpenedStore) => Promise<void>,
): Promise<StoreContents> {
  const first = await harness.open();
  await work(first);
  await first.store[Symbol.asyncDispose]();
  const second = await harness.open();
  await second.store[Symbol.asyncDispose]();
  return second.contents;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "resolved";
  } catch (error) {
    if (hasCode(error, "REVISION_CONFLICT")) return "REVISION_CONFLICT";
    if (hasCode(error, "STORE_FAILED")) return "STORE_FAILED";
    throw error;
  }
}

function equal(actual: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  assert(is === should, `it is ${is} and should be ${should}`);
}

const starts: readonly StoreCase[] = [
  {
    name: "a new store is empty, at revision 0, in term 1 and neither restored nor copied",
    run: async (harness) => {
      const { store, contents } = await harness.open();
      await store[Symbol.asyncDispose]();
      const { records, nodes, meta, revision, term, restored, copied } = contents;
      equal([records.size, nodes.size, meta.size, revision, term], [0, 0, 0, 0, 1]);
      equal([restored, copied], [false, false]);
    },
  },
  {
    name: "each start has the next term, a new instance, and stands in the list of starts",
    run: async (harness) => {
      const first = await harness.open();
      await first.store.commit([create(1, 1)], 1);
      await first.store[Symbol.asyncDispose]();
      const second = await harness.open();
      await second.store[Symbol.asyncDispose]();
      equal(second.contents.term, 2);
      equal(second.contents.storeId, first.contents.storeId);
      equal(second.contents.starts, [
        { term: 1, instance: first.contents.instance, firstRevision: 0 },
        { term: 2, instance: second.contents.instance, firstRevision: 1 },
      ]);
      assert(first.contents.instance !== second.contents.instance, "instances differ");
    },
  },
];

const commits: readonly StoreCase[] = [
  {
    name: "what was committed is there in the next start, whole",
    run: async (harness) => {
      const contents = await reopened(harness, async ({ store }) => {
        await store.commit(
          [create(1, 1), { kind: "node", nodeId: node, value: '{"host":"h1"}' }],
          1,
        );
        await store.commit([{ kind: "meta", key: "k", value: "v" }, create(2, 2)], 2);
        await store.commit([change(1, 1, 3), { kind: "meta", key: "k", value: "w" }], 3);
      });
      equal(contents.revision, 3);
      equal(contents.records.get(sampleId(2))?.revision, 2);
      equal(contents.records.get(sampleId(1)), sampleRecord(1, 3));
      equal([...contents.nodes], [[node, '{"host":"h1"}']]);
      equal([...contents.meta], [["k", "w"]]);
    },
  },
  {
    name: "a commit with a stale expected revision is REVISION_CONFLICT and writes nothing of it",
    run: async (harness) => {
      const contents = await reopened(harness, async ({ store }) => {
        await store.commit([create(1, 1)], 1);
        const meta: StoreWrite = { kind: "meta", key: "k", value: "v" };
        equal(await codeOf(store.commit([meta, change(1, 7, 2)], 2)), "REVISION_CONFLICT");
        equal(await codeOf(store.commit([meta, change(2, 1, 2)], 2)), "REVISION_CONFLICT");
        equal(await codeOf(store.commit([meta, create(1, 2)], 2)), "REVISION_CONFLICT");
      });
      equal([contents.revision, contents.meta.size, contents.records.size], [1, 0, 1]);
    },
  },
  {
    name: "the revision never goes down",
    run: async (harness) => {
      const contents = await reopened(harness, async ({ store }) => {
        await store.commit([create(1, 5)], 5);
        equal(await codeOf(store.commit([create(2, 4)], 4)), "REVISION_CONFLICT");
        await store.commit([{ kind: "meta", key: "k", value: "v" }], 5);
      });
      equal([contents.revision, contents.records.size, contents.meta.size], [5, 1, 1]);
    },
  },
  {
    name: "commits of one turn keep their order, and a refused one does not hinder the others",
    run: async (harness) => {
      const contents = await reopened(harness, async ({ store }) => {
        const answers = await Promise.all([
          codeOf(store.commit([create(1, 1)], 1)),
          codeOf(store.commit([change(1, 1, 2)], 2)),
          codeOf(store.commit([change(1, 1, 3), create(2, 3)], 3)),
          codeOf(store.commit([change(1, 2, 4)], 4)),
        ]);
        equal(answers, ["resolved", "resolved", "REVISION_CONFLICT", "resolved"]);
      });
      equal([contents.revision, contents.records.size], [4, 1]);
      equal(contents.records.get(sampleId(1))?.revision, 4);
    },
  },
  {
    name: "closing commits what waits, and a closed store refuses",
    run: async (harness) => {
      const contents = await reopened(harness, async ({ store }) => {
        const waiting = store.commit([create(1, 1)], 1);
        await store[Symbol.asyncDispose]();
        await waiting;
        equal(await codeOf(store.commit([create(2, 2)], 2)), "STORE_FAILED");
      });
      equal([...contents.records.keys()], [sampleId(1)]);
    },
  },
];

const audits: readonly StoreCase[] = [
  {
    name: "the audit is read newest first and survives a start",
    run: async (harness) => {
      await reopened(harness, async ({ store }) => {
        await store.commit([{ kind: "audit", atMs: 1, text: "a" }], 0);
        await store.commit([{ kind: "audit", atMs: 2, text: "b" }], 0);
      });
      const { store } = await harness.open();
      equal(await store.audit(9), [
        { atMs: 2, text: "b" },
        { atMs: 1, text: "a" },
      ]);
      equal(await store.audit(1), [{ atMs: 2, text: "b" }]);
      await store[Symbol.asyncDispose]();
    },
  },
  {
    name: "the oldest audit entries go when there are too many, or when they are too old",
    run: async (harness) => {
      const { store } = await harness.open({ entriesMax: 3, ageMsMax: 10 });
      for (const atMs of [1, 2, 3, 4]) {
        await store.commit([{ kind: "audit", atMs, text: "" }], 0);
      }
      equal(
        (await store.audit(9)).map(({ atMs }) => atMs),
        [4, 3, 2],
      );
      await store.commit([{ kind: "audit", atMs: 13, text: "" }], 0);
      equal(
        (await store.audit(9)).map(({ atMs }) => atMs),
        [13, 4, 3],
      );
      await store.commit([{ kind: "audit", atMs: 14, text: "" }], 0);
      await store.commit([{ kind: "audit", atMs: 40, text: "" }], 0);
      equal(
        (await store.audit(9)).map(({ atMs }) => atMs),
        [40],
      );
      await store[Symbol.asyncDispose]();
    },
  },
];

/** One case for each promise of the port; every store runs all of them. */
export const storeCases: readonly StoreCase[] = [...starts, ...commits, ...audits];
