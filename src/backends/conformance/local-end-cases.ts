import assert from "node:assert/strict";
import { refuses } from "./run-case.ts";
import {
  copyOf,
  kinds,
  type LocalCase,
  newIdentity,
  newLive,
  newReceived,
  transfer,
} from "./local-bench.ts";

const divergeCases: readonly LocalCase[] = [
  {
    sentence:
      "The live or sealed volume becomes `diverged`, or with `move` the copy that it brought here: kept whole and read-only, for a person.",
    name: "diverge: a live and a sealed one; both stay, whatever is discarded or destroyed",
    async run(bench) {
      const { backend, call, files, newOp } = bench;
      const { datasetId, identity, sizeBytes, at } = await newLive(bench);
      const stamped = { ...identity, generation: 2 };
      await backend.stamp(stamped, call);
      await backend.diverge(datasetId, null, call);
      assert.deepEqual(await backend.look(datasetId, call), [
        { kind: "diverged", identity: stamped },
      ]);

      await backend.create({ datasetId, identity, sizeBytes }, call);
      await files.write(at, "file", "second");
      await backend.seal({ datasetId, move: newOp() }, call);
      await backend.diverge(datasetId, null, call);
      await backend.discard(datasetId, call);
      await backend.destroy(datasetId, call);

      assert.deepEqual(await kinds(at, call), ["diverged", "diverged"]);
      assert.ok((await backend.list(call)).includes(datasetId));
    },
  },
  {
    sentence:
      "The live or sealed volume becomes `diverged`, or with `move` the copy that it brought here: kept whole and read-only, for a person.",
    name: "diverge: a received copy, which can be rescued and is in nobody's way",
    async run(bench) {
      const { otherBackend, call, files } = bench;
      const { datasetId, sizeBytes, move, there } = await newReceived(bench, "received");
      await otherBackend.diverge(datasetId, null, call);
      assert.deepEqual(await kinds(there, call), ["received"]);
      await otherBackend.diverge(datasetId, move, call);
      await otherBackend.diverge(datasetId, move, call);
      await otherBackend.discard(datasetId, call);
      assert.deepEqual(await kinds(there, call), ["diverged"]);

      const identity = newIdentity(bench);
      const to = { datasetId: identity.datasetId, sizeBytes, identity };
      await otherBackend.rescue(datasetId, to, call);
      const at = { backend: otherBackend, datasetId: to.datasetId };
      assert.equal(await files.read(at, "file"), "received");
    },
  },
  {
    sentence: "Without one it does nothing.",
    name: "diverge: a dataset that is not here, and a second time",
    async run(bench) {
      const { backend, call, newDatasetId } = bench;
      await backend.diverge(newDatasetId(), null, call);
      const { datasetId, at } = await newLive(bench);
      await backend.diverge(datasetId, null, call);

      await backend.diverge(datasetId, null, call);

      assert.deepEqual(await kinds(at, call), ["diverged"]);
    },
  },
];

const rescueCases: readonly LocalCase[] = [
  {
    sentence:
      "Makes a diverged copy, a fallback or a received copy the live volume of another dataset that has none: how a person gets at what was in it.",
    name: "rescue: of each kind, twice is once, and never in the place of another volume",
    async run(bench) {
      const { backend, otherBackend, call, files } = bench;
      const { datasetId, sizeBytes, there } = await newReceived(bench, "rescued");
      const diverged = await newLive(bench, "rescued");
      await backend.diverge(diverged.datasetId, null, call);
      for (const from of [
        { backend, datasetId: diverged.datasetId },
        { backend, datasetId },
        there,
      ]) {
        const identity = newIdentity(bench);
        const to = { datasetId: identity.datasetId, sizeBytes, identity };
        await from.backend.rescue(from.datasetId, to, call);
        await from.backend.rescue(from.datasetId, to, call);

        const at = { backend: from.backend, datasetId: to.datasetId };
        assert.deepEqual(await from.backend.look(to.datasetId, call), [{ kind: "live", identity }]);
        assert.equal(await files.read(at, "file"), "rescued");
        await files.write(at, "file", "used");
        const other = { ...to, identity: newIdentity(bench, to.datasetId) };
        await refuses("VOLUME_EXISTS", () => from.backend.rescue(from.datasetId, other, call));
      }
      assert.deepEqual(await kinds({ backend: otherBackend, datasetId }, call), ["received"]);
    },
  },
  {
    sentence: "The copy stays.",
    name: "rescue: what is written to the new dataset is not in the copy",
    async run(bench) {
      const { backend, call, files } = bench;
      const { datasetId, sizeBytes, at } = await newLive(bench, "rescued");
      await backend.diverge(datasetId, null, call);
      for (const _ of ["first", "second"]) {
        const identity = newIdentity(bench);
        const to = { datasetId: identity.datasetId, sizeBytes, identity };
        await backend.rescue(datasetId, to, call);
        const place = { backend, datasetId: to.datasetId };
        assert.equal(await files.read(place, "file"), "rescued");
        await files.write(place, "file", "changed");
      }
      assert.deepEqual(await kinds(at, call), ["diverged"]);
    },
  },
];

const discardCases: readonly LocalCase[] = [
  {
    sentence:
      "Removes what moves other than `except` left behind: partial copies, bases, snapshots that were sent, and received copies that the live volume is of a greater generation than.",
    name: "discardPartial: the move under way keeps its base and its beginning",
    async run(bench) {
      const { backend, otherBackend, call, newOp } = bench;
      const { datasetId } = await newLive(bench);
      const there = { backend: otherBackend, datasetId };
      const [accepted, partial, going] = [newOp(), newOp(), newOp()];
      for (const move of [accepted, partial, going]) {
        const stage = { datasetId, move, stage: "base", onBase: false } as const;
        await transfer({ from: backend, to: otherBackend, call }, stage);
        if (move === accepted) await otherBackend.accept(stage, call);
      }
      assert.deepEqual(await kinds(there, call), ["base", "partial", "partial"]);

      await otherBackend.discardPartial(datasetId, going, call);
      const expected = [{ kind: "partial", move: going }];
      assert.deepEqual(await otherBackend.look(datasetId, call), expected);

      await otherBackend.discardPartial(datasetId, null, call);
      assert.deepEqual(await otherBackend.look(datasetId, call), []);
    },
  },
  {
    sentence:
      "Removes what moves other than `except` left behind: partial copies, bases, snapshots that were sent, and received copies that the live volume is of a greater generation than.",
    name: "discardPartial: a copy that was made live goes once that was used, and nothing of it is lost",
    async run(bench) {
      const { otherBackend, call, files } = bench;
      const { datasetId, identity, sizeBytes, move, there } = await newReceived(bench);
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
      await otherBackend.discardPartial(datasetId, null, call);
      assert.deepEqual(await kinds(there, call), ["live", "received"]);
      await otherBackend.stamp({ ...identity, generation: 1 }, call);
      await otherBackend.discardPartial(datasetId, move, call);
      assert.deepEqual(await kinds(there, call), ["live", "received"]);

      await otherBackend.discardPartial(datasetId, null, call);

      assert.deepEqual(await kinds(there, call), ["live"]);
      assert.equal(await files.read(there, "file"), "content");
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
    },
  },
  {
    sentence:
      "Live, sealed and diverged copies stay, and received ones that no live volume came after.",
    name: "discardPartial: and a sealed volume can still be sent",
    async run(bench) {
      const { backend, otherBackend, call } = bench;
      const { datasetId, move, at, there } = await newReceived(bench);
      const live = await newLive(bench);
      const diverged = await newLive(bench);
      await backend.diverge(diverged.datasetId, null, call);

      for (const { backend: driver, datasetId: id } of [at, there, live.at, diverged.at]) {
        await driver.discardPartial(id, null, call);
      }

      assert.deepEqual(await kinds(at, call), ["sealed"]);
      assert.deepEqual(await kinds(there, call), ["received"]);
      assert.deepEqual(await kinds(live.at, call), ["live"]);
      assert.deepEqual(await kinds(diverged.at, call), ["diverged"]);
      const stage = { datasetId, move, stage: "delta", onBase: false } as const;
      await transfer({ from: backend, to: otherBackend, call }, stage);
    },
  },
  {
    sentence: "Removes all copies but live and diverged ones.",
    name: "discard: sealed, received, base and partial copies go, live and diverged ones stay",
    async run(bench) {
      const { backend, otherBackend, call, newOp } = bench;
      const { datasetId, at, there } = await newReceived(bench);
      const stage = { datasetId, move: newOp(), stage: "base", onBase: false } as const;
      await transfer({ from: backend, to: otherBackend, call }, stage);
      await otherBackend.accept(stage, call);
      const live = await newLive(bench);
      for (const { backend: driver, datasetId: id } of [at, there, live.at]) {
        await driver.discard(id, call);
        await driver.discard(id, call);
      }

      assert.deepEqual(await kinds(at, call), []);
      assert.deepEqual(await kinds(there, call), []);
      assert.ok(!(await backend.list(call)).includes(datasetId));
      assert.equal((await copyOf(live.at, "live", call)).identity.datasetId, live.datasetId);
    },
  },
];

const destroyCases: readonly LocalCase[] = [
  {
    sentence: "Removes everything of the dataset but diverged copies, live included.",
    name: "destroy: live, sealed and received ones; again and of none is no error",
    async run(bench) {
      const { backend, call, newDatasetId } = bench;
      const { datasetId, at, there } = await newReceived(bench);
      const live = await newLive(bench);
      for (const { backend: driver, datasetId: id } of [at, there, live.at]) {
        await driver.destroy(id, call);
        await driver.destroy(id, call);
        assert.deepEqual(await driver.look(id, call), []);
        assert.ok(!(await driver.list(call)).includes(id));
      }
      await backend.destroy(newDatasetId(), call);
      assert.ok(!(await backend.list(call)).includes(datasetId));
    },
  },
  {
    sentence: "In use fails with `VOLUME_BUSY` and removes nothing.",
    name: "destroy: an open file keeps the volume and what is in it",
    async run(bench) {
      const { backend, call, files } = bench;
      const { datasetId, at } = await newLive(bench);
      {
        await using _user = await files.hold(at, false);
        await refuses("VOLUME_BUSY", () => backend.destroy(datasetId, call));
      }

      assert.deepEqual(await kinds(at, call), ["live"]);
      assert.equal(await files.read(at, "file"), "content");
    },
  },
];

/** Cases of what ends a copy, or keeps it for a person. */
export const endCases: readonly LocalCase[] = [
  ...divergeCases,
  ...rescueCases,
  ...discardCases,
  ...destroyCases,
];
