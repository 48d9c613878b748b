import assert from "node:assert/strict";
import { refuses } from "./run-case.ts";
import { kinds, type LocalCase, moveOver, newReceived } from "./local-bench.ts";

/** Cases of how a received copy becomes the volume that is used. */
export const promoteCases: readonly LocalCase[] = [
  {
    sentence:
      "Makes the copy that `move` brought here live: a writable snapshot of it in the place of a live volume of an older generation, or of a sealed one of no greater generation, which goes.",
    name: "promote: there and back again, in the place of the sealed volume; the copy stays as it is",
    async run(bench) {
      const { backend, otherBackend, call, files, newOp } = bench;
      const { datasetId, identity, sizeBytes, move, at, there } = await newReceived(bench);
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
      await otherBackend.stamp({ ...identity, generation: 1 }, call);
      assert.equal(await files.read(there, "file"), "content");
      await files.write(there, "file", "changed there");
      assert.deepEqual(await kinds(there, call), ["live", "received"]);
      await otherBackend.discard(datasetId, call);

      const back = newOp();
      await moveOver(
        { ...bench, backend: otherBackend, otherBackend: backend },
        {
          datasetId,
          move: back,
        },
      );
      assert.deepEqual(await kinds(at, call), ["received", "sealed"]);
      await backend.promote({ datasetId, move: back, sizeBytes }, call);

      assert.equal(await files.read(at, "file"), "changed there");
      assert.deepEqual(await kinds(at, call), ["live", "received"]);
    },
  },
  {
    sentence:
      "Makes the copy that `move` brought here live: a writable snapshot of it in the place of a live volume of an older generation, or of a sealed one of no greater generation, which goes.",
    name: "promote: a live volume of an older generation goes",
    async run(bench) {
      const { backend, otherBackend, call, files, newOp } = bench;
      const { datasetId, identity, sizeBytes, move, there } = await newReceived(bench);
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
      await backend.reopen({ datasetId, sizeBytes }, call);
      await backend.stamp({ ...identity, generation: 4 }, call);
      await files.write({ backend, datasetId }, "file", "newer");
      const second = newOp();
      await moveOver(bench, { datasetId, move: second });

      await otherBackend.promote({ datasetId, move: second, sizeBytes }, call);

      assert.equal(await files.read(there, "file"), "newer");
      const [live] = await otherBackend.look(datasetId, call);
      assert.deepEqual(live, { kind: "live", identity: { ...identity, generation: 4 } });
    },
  },
  {
    sentence:
      "Makes the copy that `move` brought here live: a writable snapshot of it in the place of a live volume of an older generation, or of a sealed one of no greater generation, which goes.",
    name: "promote: a sealed volume goes too that was made from the same copy and never used",
    async run(bench) {
      const { otherBackend, call, files, newOp } = bench;
      const { datasetId, sizeBytes, move, there } = await newReceived(bench);
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
      await otherBackend.seal({ datasetId, move: newOp() }, call);

      await otherBackend.promote({ datasetId, move, sizeBytes }, call);

      assert.deepEqual(await kinds(there, call), ["live", "received"]);
      await files.write(there, "more", "text");
      assert.equal(await files.read(there, "file"), "content");
    },
  },
  {
    sentence: "The limit is set and read back before it is live.",
    name: "promote: no more than its size can be written there either",
    async run(bench) {
      const { otherBackend, call, files } = bench;
      const { datasetId, sizeBytes, move, there } = await newReceived(bench);

      await otherBackend.promote({ datasetId, move, sizeBytes }, call);

      const taken = await files.fill(there, 2 * sizeBytes);
      assert.ok(taken <= sizeBytes, `${taken} bytes were written into ${sizeBytes}`);
      assert.ok(taken > sizeBytes / 2, `only ${taken} of ${sizeBytes} bytes could be written`);
    },
  },
  {
    sentence:
      "A live volume of the same or a greater generation stays as it is, and the call succeeds only if it was made from this copy.",
    name: "promote: a second time keeps what was written since; a late one of an older move fails",
    async run(bench) {
      const { backend, otherBackend, call, files, newOp } = bench;
      const { datasetId, identity, sizeBytes, move, there } = await newReceived(bench);
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
      await files.write(there, "file", "written since");
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
      assert.equal(await files.read(there, "file"), "written since");
      for (const generation of [0, 2]) {
        await otherBackend.stamp({ ...identity, generation }, call);
        const other = newOp();
        await moveOver(bench, { datasetId, move: other });
        await refuses("BACKEND_REJECTED", () =>
          otherBackend.promote({ datasetId, move: other, sizeBytes }, call),
        );
      }

      assert.equal(await files.read(there, "file"), "written since");
      assert.ok((await kinds({ backend, datasetId }, call)).includes("sealed"));
    },
  },
  {
    sentence: "Without such a copy it fails with `VOLUME_NOT_FOUND`.",
    name: "promote: another move's copy is not taken",
    async run(bench) {
      const { otherBackend, call, newOp } = bench;
      const { datasetId, sizeBytes, there } = await newReceived(bench);

      await refuses("VOLUME_NOT_FOUND", () =>
        otherBackend.promote({ datasetId, move: newOp(), sizeBytes }, call),
      );

      assert.deepEqual(await kinds(there, call), ["received"]);
    },
  },
];
