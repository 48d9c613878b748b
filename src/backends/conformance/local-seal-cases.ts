import assert from "node:assert/strict";
import { refuses } from "./run-case.ts";
import { copyOf, kinds, type LocalCase, newLive, transfer } from "./local-bench.ts";

const ownSealCases: readonly LocalCase[] = [
  {
    sentence:
      "Makes the live volume read-only, syncs it and takes the last snapshot of it for `move`: durable, and nothing is in the volume that is not in the snapshot, or it fails with `VOLUME_BUSY` and the volume is live as before.",
    name: "seal: nobody writes any more, and all that was written is in it",
    async run(bench) {
      const { backend, call, files, newOp } = bench;
      const { datasetId, identity, at } = await newLive(bench);
      const stamped = { ...identity, generation: 3 };
      await backend.stamp(stamped, call);
      const move = newOp();

      await backend.seal({ datasetId, move }, call);

      const sealed = { kind: "sealed", identity: stamped, move };
      assert.deepEqual(await backend.look(datasetId, call), [sealed]);
      assert.equal(await backend.usedBytes(datasetId, call), null);
      assert.equal(await backend.changedSinceSeal(datasetId, call), false);
      await assert.rejects(files.write(at, "file", "late"));
      assert.equal(await files.read(at, "file"), "content");
    },
  },
  {
    sentence:
      "Makes the live volume read-only, syncs it and takes the last snapshot of it for `move`: durable, and nothing is in the volume that is not in the snapshot, or it fails with `VOLUME_BUSY` and the volume is live as before.",
    name: "seal: is refused while somebody writes, and the volume is used as before",
    async run(bench) {
      const { backend, call, files, newOp } = bench;
      const { datasetId, identity, at } = await newLive(bench);
      const move = newOp();
      {
        await using _writer = await files.hold(at, true);
        await refuses("VOLUME_BUSY", () => backend.seal({ datasetId, move }, call));
        assert.deepEqual(await kinds(at, call), ["live"]);
      }
      const held = await files.read(at, "held");

      await backend.stamp({ ...identity, generation: 1 }, call);
      await files.write(at, "file", "as before");

      assert.equal(await files.read(at, "file"), "as before");
      assert.equal(await files.read(at, "held"), held);
      await backend.seal({ datasetId, move }, call);
      assert.deepEqual(await kinds(at, call), ["sealed"]);
    },
  },
  {
    sentence: "The same move twice is one seal, with a new snapshot if somebody wrote since.",
    name: "seal: a late write through an open descriptor is in what is sent after another seal",
    async run(bench) {
      const { backend, otherBackend, call, files, newOp } = bench;
      const { datasetId, at } = await newLive(bench);
      const move = newOp();
      await backend.seal({ datasetId, move }, call);
      await backend.seal({ datasetId, move }, call);
      await backend.reopen({ datasetId, sizeBytes: 16 * 2 ** 20 }, call);
      {
        await using late = await files.hold(at, false);
        await backend.seal({ datasetId, move }, call);
        await late.write("late");
      }
      assert.equal(await backend.changedSinceSeal(datasetId, call), true);

      await backend.seal({ datasetId, move }, call);

      assert.equal(await backend.changedSinceSeal(datasetId, call), false);
      assert.deepEqual(await kinds(at, call), ["sealed"]);
      const stage = { datasetId, move, stage: "delta", onBase: false } as const;
      await transfer({ from: backend, to: otherBackend, call }, stage);
      await otherBackend.accept(stage, call);
      await otherBackend.promote({ datasetId, move, sizeBytes: 16 * 2 ** 20 }, call);
      assert.equal(await files.read({ backend: otherBackend, datasetId }, "held"), "late");
    },
  },
  {
    sentence: "A volume that is sealed for another move is sealed for this one.",
    name: "seal: the next move of an aborted one has a snapshot of its own",
    async run(bench) {
      const { backend, call, newOp } = bench;
      const { datasetId, at } = await newLive(bench);
      await backend.seal({ datasetId, move: newOp() }, call);
      const move = newOp();

      await backend.seal({ datasetId, move }, call);

      assert.equal((await copyOf(at, "sealed", call)).move, move);
      const stage = { datasetId, move, stage: "delta", onBase: false } as const;
      assert.ok((await backend.streamBytes(stage, call)) > 0);
    },
  },
];

const changedCases: readonly LocalCase[] = [
  {
    sentence:
      "Something was written to the sealed volume after its snapshot: an open descriptor goes on writing through a read-only flag.",
    name: "changedSinceSeal: tells of a write through an open descriptor",
    async run(bench) {
      const { backend, call, files, newOp } = bench;
      const { datasetId, at } = await newLive(bench);
      await using late = await files.hold(at, false);
      await backend.seal({ datasetId, move: newOp() }, call);
      assert.equal(await backend.changedSinceSeal(datasetId, call), false);

      await late.write("late");

      assert.equal(await backend.changedSinceSeal(datasetId, call), true);
    },
  },
  {
    sentence: "False for one that nobody wrote to since.",
    name: "changedSinceSeal: is not misled by readers and by other volumes",
    async run(bench) {
      const { backend, call, files, newOp } = bench;
      const { datasetId, at } = await newLive(bench);
      await backend.seal({ datasetId, move: newOp() }, call);
      const other = await newLive(bench);
      await files.write(other.at, "file", "written");
      await backend.sync(other.datasetId, call);
      await files.read(at, "file");

      assert.equal(await backend.changedSinceSeal(datasetId, call), false);
    },
  },
];

const reopenCases: readonly LocalCase[] = [
  {
    sentence:
      "Makes the sealed volume live again, by a writable snapshot of the sealed one itself (never of the snapshot that was sent), with its limit set and read back.",
    name: "reopen: has also what was written after the seal, and its limit",
    async run(bench) {
      const { backend, call, files, newOp } = bench;
      const { datasetId, identity, sizeBytes, at } = await newLive(bench);
      {
        await using late = await files.hold(at, false);
        await backend.seal({ datasetId, move: newOp() }, call);
        await late.write("late");
      }

      await backend.reopen({ datasetId, sizeBytes }, call);

      assert.deepEqual(await backend.look(datasetId, call), [{ kind: "live", identity }]);
      assert.equal(await files.read(at, "held"), "late");
      await files.write(at, "file", "again");
      assert.equal(await files.read(at, "file"), "again");
      const taken = await files.fill(at, 2 * sizeBytes);
      assert.ok(taken <= sizeBytes, `${taken} bytes were written into ${sizeBytes}`);
    },
  },
  {
    sentence: "A volume that is live already stays as it is.",
    name: "reopen: a second time changes nothing; without a volume it fails",
    async run(bench) {
      const { backend, call, files, newDatasetId } = bench;
      const { datasetId, identity, sizeBytes, at } = await newLive(bench);

      await backend.reopen({ datasetId, sizeBytes }, call);

      assert.deepEqual(await backend.look(datasetId, call), [{ kind: "live", identity }]);
      assert.equal(await files.read(at, "file"), "content");
      const absent = newDatasetId();
      await refuses("VOLUME_NOT_FOUND", () =>
        backend.reopen({ datasetId: absent, sizeBytes }, call),
      );
    },
  },
];

/** Cases of the source's end of a move: seal, changedSinceSeal, reopen. */
export const sealCases: readonly LocalCase[] = [...ownSealCases, ...changedCases, ...reopenCases];
