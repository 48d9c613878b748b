import assert from "node:assert/strict";
import { parseClusterId } from "../../domain/ids.ts";
import { refuses } from "./run-case.ts";
import {
  kinds,
  type LocalCase,
  mebi,
  newIdentity,
  newLive,
  newReceived,
  sizeOf,
  transfer,
} from "./local-bench.ts";
import { endCases } from "./local-end-cases.ts";
import { moveCases } from "./local-move-cases.ts";
import { sealCases } from "./local-seal-cases.ts";

const poolCases: readonly LocalCase[] = [
  {
    sentence: "Made with the pool and kept in it: a pool with another one is another pool.",
    name: "poolId: a restarted agent finds the same one, another pool has another",
    async run({ backend, otherBackend, openAgain }) {
      assert.equal((await openAgain()).poolId, backend.poolId);
      assert.notEqual(otherBackend.poolId, backend.poolId);
    },
  },
  {
    sentence: "What containers find their files in, for people: `btrfs`, `zfs`.",
    name: "fileSystem: one word",
    async run({ backend }) {
      assert.match(backend.fileSystem, /^[a-z0-9]+$/);
    },
  },
  {
    sentence:
      "Bytes that the pool has and that are free; what was removed counts once it is given back.",
    name: "usage: what is written is not free, and is free again after the volume was destroyed",
    async run(bench) {
      const { backend, call, files } = bench;
      const { datasetId, at } = await newLive(bench);
      const before = await backend.usage(call);
      assert.ok(before.freeBytes > 0 && before.freeBytes <= before.sizeBytes);

      await files.fill(at, 8 * mebi);
      await backend.sync(datasetId, call);
      const filled = await backend.usage(call);
      assert.ok(filled.freeBytes <= before.freeBytes - 7 * mebi, "written bytes are not free");

      await backend.destroy(datasetId, call);
      const { freeBytes } = await backend.usage(call);
      assert.ok(freeBytes >= before.freeBytes - mebi, "destroyed bytes are free again");
    },
  },
  {
    sentence: "Every dataset of which the pool has anything, live or not, this cluster's or not.",
    name: "list: live, sealed and received ones, and none that was destroyed",
    async run(bench) {
      const { backend, call, newOp } = bench;
      const live = await newLive(bench);
      const sealed = await newLive(bench);
      const gone = await newLive(bench);
      await backend.seal({ datasetId: sealed.datasetId, move: newOp() }, call);
      await backend.destroy(gone.datasetId, call);

      const listed = await backend.list(call);

      assert.ok(listed.includes(live.datasetId) && listed.includes(sealed.datasetId));
      assert.ok(!listed.includes(gone.datasetId));
    },
  },
];

const lookCases: readonly LocalCase[] = [
  {
    sentence: "A fresh direct look at everything that the pool has of one dataset; writes nothing.",
    name: "look: shows at once what was made, and what a restarted agent finds",
    async run(bench) {
      const { backend, call, openAgain } = bench;
      const { datasetId, identity } = await newLive(bench);
      const expected = [{ kind: "live", identity }];
      assert.deepEqual(await backend.look(datasetId, call), expected);
      assert.deepEqual(await backend.look(datasetId, call), expected);

      assert.deepEqual(await (await openAgain()).look(datasetId, call), expected);
    },
  },
  {
    sentence: "Empty when there is nothing.",
    name: "look: a dataset that was never here is no error",
    async run({ backend, call, newDatasetId }) {
      assert.deepEqual(await backend.look(newDatasetId(), call), []);
    },
  },
  {
    sentence: "What `send` keeps for itself is not shown.",
    name: "look: a sender's snapshots are no copies",
    async run(bench) {
      const { backend, otherBackend, call, newOp } = bench;
      const { datasetId, at } = await newLive(bench);
      const stage = { datasetId, move: newOp(), stage: "base", onBase: false } as const;
      await transfer({ from: backend, to: otherBackend, call }, stage);
      const sealed = await newReceived(bench);

      assert.deepEqual(await kinds(at, call), ["live"]);
      assert.deepEqual(await kinds(sealed.at, call), ["sealed"]);
    },
  },
  {
    sentence: "A pool that is not there any more fails with `POOL_MISSING`.",
    name: "look: nothing is absent, and nothing is created, in a pool that is away",
    needs: "losePool",
    async run(bench) {
      const { backend, call, losePool } = bench;
      const { datasetId, identity, sizeBytes } = await newLive(bench);
      {
        assert.ok(losePool);
        await using _lost = await losePool();
        await refuses("POOL_MISSING", () => backend.look(datasetId, call));
        await refuses("POOL_MISSING", () =>
          backend.create({ datasetId, identity, sizeBytes }, call),
        );
      }
      assert.deepEqual(await backend.look(datasetId, call), [{ kind: "live", identity }]);
    },
  },
  {
    sentence: "Bytes that the live volume's data takes; null when there is none.",
    name: "usedBytes: grows with what is written",
    async run(bench) {
      const { backend, call, files, newDatasetId } = bench;
      assert.equal(await backend.usedBytes(newDatasetId(), call), null);
      const { datasetId, at } = await newLive(bench);
      await files.fill(at, 4 * mebi);
      await backend.sync(datasetId, call);

      const used = (await backend.usedBytes(datasetId, call)) ?? 0;

      assert.ok(used >= 4 * mebi && used < 6 * mebi, `${used} bytes`);
    },
  },
];

const createCases: readonly LocalCase[] = [
  {
    sentence:
      "Makes an empty live volume: a directory `data` (0777) and beside it the identity, durable, with generation 0.",
    name: "create: containers find an empty directory that everybody may write to",
    async run(bench) {
      const { backend, call, files } = bench;
      const identity = { ...newIdentity(bench), generation: 7 };
      const { datasetId } = identity;
      const sizeBytes = sizeOf(backend.capabilities);

      await backend.create({ datasetId, identity, sizeBytes }, call);

      const at = { backend, datasetId };
      assert.deepEqual(await files.names(at), []);
      assert.equal(await files.mode(at), 0o777);
      const live = { kind: "live", identity: { ...identity, generation: 0 } };
      assert.deepEqual(await backend.look(datasetId, call), [live]);
    },
  },
  {
    sentence: "The limit stands before it is there.",
    name: "create: no more than its size can be written, and another volume still takes some",
    async run(bench) {
      const { files } = bench;
      const { at, sizeBytes } = await newLive(bench);
      const other = await newLive(bench);

      const taken = await files.fill(at, 2 * sizeBytes);

      assert.ok(taken <= sizeBytes, `${taken} bytes were written into ${sizeBytes}`);
      assert.ok(taken > sizeBytes / 2, `only ${taken} of ${sizeBytes} bytes could be written`);
      await files.write(other.at, "file", "written");
      assert.equal(await files.read(other.at, "file"), "written");
    },
  },
  {
    sentence:
      "The same lineage twice is one volume; a live one of another lineage, or a sealed one, fails with `VOLUME_EXISTS` and stays as it is.",
    name: "create: a second time, of another lineage and after a seal, nothing is changed",
    async run(bench) {
      const { backend, call, files, newOp } = bench;
      const { datasetId, identity, sizeBytes, at } = await newLive(bench);
      await backend.create({ datasetId, identity, sizeBytes }, call);
      assert.equal(await files.read(at, "file"), "content");

      const other = { ...identity, lineage: newOp() };
      await refuses("VOLUME_EXISTS", () =>
        backend.create({ datasetId, identity: other, sizeBytes }, call),
      );
      await backend.seal({ datasetId, move: newOp() }, call);
      await refuses("VOLUME_EXISTS", () =>
        backend.create({ datasetId, identity, sizeBytes }, call),
      );

      assert.equal(await files.read(at, "file"), "content");
      assert.deepEqual(await kinds(at, call), ["sealed"]);
    },
  },
  {
    sentence: "A size outside of the capabilities fails with `SIZE_OUT_OF_RANGE`.",
    name: "create: below the minimum, above the maximum and between steps nothing is made",
    async run(bench) {
      const { backend, call } = bench;
      const { sizeBytesMin, sizeBytesMax, sizeBytesStep } = backend.capabilities;
      const wrong = [sizeBytesMin - sizeBytesStep, sizeBytesMax + sizeBytesStep];
      if (sizeBytesStep > 1) wrong.push(sizeBytesMin + 1);
      for (const sizeBytes of wrong) {
        const identity = newIdentity(bench);
        const { datasetId } = identity;
        await refuses("SIZE_OUT_OF_RANGE", () =>
          backend.create({ datasetId, identity, sizeBytes }, call),
        );
        assert.deepEqual(await backend.look(datasetId, call), []);
      }
    },
  },
];

const liveCases: readonly LocalCase[] = [
  {
    sentence: "Where the live volume lies on this node: the directory that holds `data`.",
    name: "livePath: two datasets have two, and a restarted agent gets the same",
    async run(bench) {
      const { backend, openAgain, newDatasetId } = bench;
      const { datasetId } = await newLive(bench);
      const path = backend.livePath(datasetId);

      assert.notEqual(backend.livePath(newDatasetId()), path);
      assert.equal((await openAgain()).livePath(datasetId), path);
    },
  },
  {
    sentence: "Does not touch the storage.",
    name: "livePath: is told of a dataset that does not exist",
    async run({ backend, newDatasetId }) {
      const datasetId = newDatasetId();

      assert.ok(backend.livePath(datasetId).includes(datasetId));
    },
  },
  {
    sentence: "Writes `identity.generation` into the live volume's identity, durably.",
    name: "stamp: the generation is read back, also when it is written often",
    async run(bench) {
      const { backend, call, files, openAgain } = bench;
      const { datasetId, identity, at } = await newLive(bench);
      for (const generation of [1, 2, 2, 9]) {
        await backend.stamp({ ...identity, generation }, call);
      }

      const live = { kind: "live", identity: { ...identity, generation: 9 } };
      assert.deepEqual(await (await openAgain()).look(datasetId, call), [live]);
      assert.equal(await files.read(at, "file"), "content");
    },
  },
  {
    sentence:
      "Other ids or lineage, or a greater generation there, fail with `BACKEND_REJECTED` and write nothing.",
    name: "stamp: what another claim, volume or cluster wrote stays",
    async run(bench) {
      const { backend, call, newOp, newDatasetId } = bench;
      const { datasetId, identity } = await newLive(bench);
      const stamped = { ...identity, generation: 5 };
      await backend.stamp(stamped, call);
      for (const wrong of [
        { ...identity, generation: 4 },
        { ...stamped, lineage: newOp() },
        {
          ...stamped,
          clusterId: parseClusterId(newDatasetId()),
        },
      ]) {
        await refuses("BACKEND_REJECTED", () => backend.stamp(wrong, call));
      }

      assert.deepEqual(await backend.look(datasetId, call), [{ kind: "live", identity: stamped }]);
    },
  },
  {
    sentence: "Without a live volume it fails with `VOLUME_NOT_FOUND`.",
    name: "stamp: neither a sealed volume nor none is stamped",
    async run(bench) {
      const { backend, call, newOp } = bench;
      await refuses("VOLUME_NOT_FOUND", () => backend.stamp(newIdentity(bench), call));
      const { datasetId, identity } = await newLive(bench);
      await backend.seal({ datasetId, move: newOp() }, call);

      await refuses("VOLUME_NOT_FOUND", () => backend.stamp({ ...identity, generation: 1 }, call));
    },
  },
  {
    sentence: "Everything that was written to the live volume is durable when it has returned.",
    name: "sync: what was written is read by a restarted agent",
    async run(bench) {
      const { backend, call, files, openAgain } = bench;
      const { datasetId, at } = await newLive(bench);
      await files.write(at, "file", "newer");

      await backend.sync(datasetId, call);

      const again = await openAgain();
      assert.equal(await files.read({ backend: again, datasetId }, "file"), "newer");
    },
  },
];

/**
 * The contract of `LocalBackend`: at least one case for each sentence of its documentation. Data
 * without a test runner: `for (const item of localCases) runLocalCase(item, makeBench)`.
 */
export const localCases: readonly LocalCase[] = [
  ...poolCases,
  ...lookCases,
  ...createCases,
  ...liveCases,
  ...sealCases,
  ...moveCases,
  ...endCases,
];
