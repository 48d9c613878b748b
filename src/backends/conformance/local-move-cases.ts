import assert from "node:assert/strict";
import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { refuses } from "./run-case.ts";
import {
  kinds,
  type LocalBench,
  type LocalCase,
  type Made,
  mebi,
  moveOver,
  newLive,
  newReceived,
  type Stage,
  transfer,
} from "./local-bench.ts";
import { promoteCases } from "./local-promote-cases.ts";

function base({ datasetId }: Made, bench: LocalBench): Stage {
  return { datasetId, move: bench.newOp(), stage: "base", onBase: false };
}

const sendCases: readonly LocalCase[] = [
  {
    sentence: "Writes one stage of a move to `sink` and ends it.",
    name: "send: tells length and digest of what it wrote",
    async run(bench) {
      const { backend, otherBackend, call } = bench;
      const stage = base(await newLive(bench), bench);

      const [sent, received] = await transfer({ from: backend, to: otherBackend, call }, stage);

      assert.ok(sent.bytes > 0);
      assert.match(sent.digest, /^[0-9a-f]{64}$/);
      assert.deepEqual(received, sent);
    },
  },
  {
    sentence:
      "`base` is a snapshot that is taken at the first call of the move, and the same one at later calls while nothing touched it; `delta` is the seal's snapshot, on top of the base when `onBase`, whole otherwise.",
    name: "send: base and delta together are what was sealed, and the delta is the smaller one",
    async run(bench) {
      const { backend, otherBackend, call, files } = bench;
      const made = await newLive(bench);
      const { datasetId, at, sizeBytes } = made;
      await files.write(at, "bulk", "b".repeat(2 * mebi));
      await files.write(at, "removed", "early");
      const first = base(made, bench);
      const { move } = first;
      const ends = { from: backend, to: otherBackend, call };
      await transfer(ends, first);
      await files.write(at, "file", "after the base");
      const [whole] = await transfer(ends, first);
      await otherBackend.accept(first, call);
      await files.write(at, "removed", "late");
      await backend.seal({ datasetId, move }, call);

      const stage = { datasetId, move, stage: "delta", onBase: true } as const;
      const [delta] = await transfer(ends, stage);
      await otherBackend.accept(stage, call);

      assert.ok(delta.bytes < whole.bytes, `${delta.bytes} of ${whole.bytes} bytes`);
      await otherBackend.promote({ datasetId, move, sizeBytes }, call);
      const there = { backend: otherBackend, datasetId };
      assert.equal(await files.read(there, "file"), "after the base");
      assert.equal(await files.read(there, "removed"), "late");
      assert.equal(await files.read(there, "bulk"), "b".repeat(2 * mebi));
    },
  },
  {
    sentence: "Before the seal, `delta` fails with `VOLUME_NOT_FOUND`.",
    name: "send: nothing of an unsealed volume is a delta, and its sink is not ended",
    async run(bench) {
      const { backend, call, newOp } = bench;
      const { datasetId } = await newLive(bench);
      const stage = { datasetId, move: newOp(), stage: "delta", onBase: false } as const;

      await refuses("VOLUME_NOT_FOUND", () => backend.send(stage, new PassThrough(), call));
    },
  },
  {
    sentence: "A sink that breaks fails the call and leaves nothing running.",
    name: "send: goes through at the next attempt",
    async run(bench) {
      const { backend, otherBackend, call, files } = bench;
      const made = await newLive(bench);
      await files.write(made.at, "bulk", "b".repeat(4 * mebi));
      const stage = base(made, bench);
      const sink = new Writable({ write: (_chunk, _encoding, done) => done(new Error("cut")) });
      await assert.rejects(backend.send(stage, sink, call));

      const [sent, received] = await transfer({ from: backend, to: otherBackend, call }, stage);

      assert.deepEqual(received, sent);
    },
  },
  {
    sentence: "Bytes that `send` will roughly write: what progress and reservations count with.",
    name: "streamBytes: is near to what is sent, whole and on a base",
    async run(bench) {
      const { backend, otherBackend, call, files } = bench;
      const made = await newLive(bench);
      const { datasetId } = made;
      await files.fill(made.at, 8 * mebi);
      const stage = base(made, bench);
      const ends = { from: backend, to: otherBackend, call };
      const told = await backend.streamBytes(stage, call);
      const [{ bytes }] = await transfer(ends, stage);
      assert.ok(Math.abs(told - bytes) < 2 * mebi, `${told} told, ${bytes} sent`);

      await files.write(made.at, "more", "m".repeat(mebi));
      await backend.seal({ datasetId, move: stage.move }, call);
      const delta = { ...stage, stage: "delta", onBase: true } as const;
      const toldMore = await backend.streamBytes(delta, call);
      assert.ok(toldMore < 3 * mebi && toldMore >= mebi / 2, `${toldMore} told for about 1 MiB`);
    },
  },
];

const receiveCases: readonly LocalCase[] = [
  {
    sentence: "Reserves and receives one stage of a move, beside everything else.",
    name: "receive: on a node with a live volume of the dataset, which stays in use",
    async run(bench) {
      const { backend, otherBackend, call, files } = bench;
      const made = await newLive(bench);
      const { datasetId, identity, sizeBytes } = made;
      const there = { backend: otherBackend, datasetId };
      await otherBackend.create({ datasetId, identity, sizeBytes }, call);
      await files.write(there, "file", "theirs");

      await transfer({ from: backend, to: otherBackend, call }, base(made, bench));

      assert.deepEqual(await kinds(there, call), ["live", "partial"]);
      assert.equal(await files.read(there, "file"), "theirs");
    },
  },
  {
    sentence: "Until `accept` it is partial.",
    name: "receive: both stages, and a partial copy is not promoted",
    async run(bench) {
      const { backend, otherBackend, call } = bench;
      const made = await newLive(bench);
      const { datasetId, sizeBytes } = made;
      const there = { backend: otherBackend, datasetId };
      const stage = base(made, bench);
      const ends = { from: backend, to: otherBackend, call };
      const { move } = stage;
      await transfer(ends, stage);
      assert.deepEqual(await otherBackend.look(datasetId, call), [{ kind: "partial", move }]);
      await otherBackend.accept(stage, call);
      assert.deepEqual(await otherBackend.look(datasetId, call), [{ kind: "base", move }]);

      await backend.seal({ datasetId, move }, call);
      await transfer(ends, { ...stage, stage: "delta", onBase: true });

      assert.deepEqual(await kinds(there, call), ["base", "partial"]);
      await refuses("VOLUME_NOT_FOUND", () =>
        otherBackend.promote({ datasetId, move, sizeBytes }, call),
      );
    },
  },
  {
    sentence:
      "A pool with less than `reserveBytes` free fails with `POOL_FULL` before anything is read.",
    name: "receive: nothing is taken from the stream, and nothing is left",
    async run({ backend, call, newDatasetId, newOp }) {
      const datasetId = newDatasetId();
      const source = new PassThrough();
      source.write("untouched");
      const { freeBytes } = await backend.usage(call);
      const stage = { datasetId, move: newOp(), stage: "base", onBase: false } as const;

      await refuses("POOL_FULL", () =>
        backend.receive({ ...stage, reserveBytes: freeBytes + mebi }, source, call),
      );

      assert.equal(source.readableFlowing, null);
      assert.deepEqual(await backend.look(datasetId, call), []);
    },
  },
  {
    sentence:
      "A stream that breaks, or is refused, fails and leaves a partial copy at most; what was partial before is removed first.",
    name: "receive: a half and a garbage stream; the whole one after them goes through",
    async run(bench) {
      const { backend, otherBackend, call, files } = bench;
      const made = await newLive(bench);
      const { datasetId, at } = made;
      await files.write(at, "bulk", "b".repeat(2 * mebi));
      const stage = base(made, bench);
      const pipe = new PassThrough();
      const [content] = await Promise.all([buffer(pipe), backend.send(stage, pipe, call)]);
      const half = content.subarray(0, content.length / 2);
      const broken = async function* (): AsyncGenerator<Buffer> {
        yield half;
        throw new Error("peer is gone");
      };
      const there = { backend: otherBackend, datasetId };
      for (const source of [Readable.from(broken()), Readable.from([Buffer.from("garbage")])]) {
        await assert.rejects(otherBackend.receive({ ...stage, reserveBytes: 0 }, source, call));
        const left = await kinds(there, call);
        assert.ok(left.every((kind) => kind === "partial") && left.length <= 1, left.join());
        await refuses("VOLUME_NOT_FOUND", () => otherBackend.accept(stage, call));
      }

      await otherBackend.receive({ ...stage, reserveBytes: 0 }, Readable.from([content]), call);
      await otherBackend.accept(stage, call);

      assert.deepEqual(await kinds(there, call), ["base"]);
    },
  },
];

const acceptCases: readonly LocalCase[] = [
  {
    sentence:
      "Syncs what was received (an error fails the call) and gives it its final name, durably: `base` becomes a base, `delta` a received copy, if its identity is `datasetId`'s.",
    name: "accept: a received copy has the source's identity, generation included",
    async run(bench) {
      const { backend, otherBackend, call, newOp } = bench;
      const { datasetId, identity } = await newLive(bench);
      const stamped = { ...identity, generation: 6 };
      await backend.stamp(stamped, call);
      const move = newOp();

      await moveOver(bench, { datasetId, move });

      const received = { kind: "received", identity: stamped, move };
      assert.deepEqual(await otherBackend.look(datasetId, call), [received]);
    },
  },
  {
    sentence: "Accepted before is no error.",
    name: "accept: a second time, and after it was received once more",
    async run(bench) {
      const { backend, otherBackend, call } = bench;
      const { datasetId, move, there } = await newReceived(bench);
      const stage = { datasetId, move, stage: "delta", onBase: false } as const;
      await otherBackend.accept(stage, call);
      await transfer({ from: backend, to: otherBackend, call }, stage);

      await otherBackend.accept(stage, call);

      assert.deepEqual(await kinds(there, call), ["received"]);
    },
  },
  {
    sentence:
      "With nothing to accept it fails with `VOLUME_NOT_FOUND`, with another identity with `BACKEND_REJECTED`.",
    name: "accept: another dataset's stream under this one's name is refused",
    async run(bench) {
      const { backend, otherBackend, call, newOp } = bench;
      const made = await newLive(bench);
      const stage = base(made, bench);
      await refuses("VOLUME_NOT_FOUND", () => otherBackend.accept(stage, call));
      const wrong = await newLive(bench);
      const move = newOp();
      await backend.seal({ datasetId: wrong.datasetId, move }, call);
      const sent = { datasetId: wrong.datasetId, move, stage: "delta", onBase: false } as const;
      const asOurs = { ...sent, datasetId: made.datasetId };
      const pipe = new PassThrough();
      await Promise.all([
        backend.send(sent, pipe, call),
        otherBackend.receive({ ...asOurs, reserveBytes: 0 }, pipe, call),
      ]);

      await refuses("BACKEND_REJECTED", () => otherBackend.accept(asOurs, call));

      const there = { backend: otherBackend, datasetId: made.datasetId };
      assert.deepEqual(await kinds(there, call), ["partial"]);
    },
  },
];

/** Cases of a move's streams and of the target's end of it. */
export const moveCases: readonly LocalCase[] = [
  ...sendCases,
  ...receiveCases,
  ...acceptCases,
  ...promoteCases,
];
