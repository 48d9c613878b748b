import assert from "node:assert/strict";
import type { AttachableCase } from "./attachable-bench.ts";
import { newVolume } from "./attachable-bench.ts";
import { refuses } from "./run-case.ts";
import { detachCases } from "./detach-cases.ts";

const lookCases: readonly AttachableCase[] = [
  {
    sentence: "Every volume of this cluster that exists now, no other cluster's.",
    name: "list: has what this cluster created, from either node, and nothing of another cluster",
    async run(bench) {
      const { backend, otherBackend, foreignBackend, call, newDatasetId, newOp } = bench;
      const volume = await newVolume(bench);
      const foreign = await foreignBackend.create(
        { datasetId: newDatasetId(), op: newOp(), sizeBytes: volume.sizeBytes },
        call,
      );

      for (const driver of [backend, otherBackend]) {
        const refs = (await driver.list(call)).map(({ ref }) => ref);
        assert.ok(refs.includes(volume.ref));
        assert.ok(!refs.includes(foreign.ref));
      }
    },
  },
  {
    sentence:
      "A fresh direct look at the volumes of one dataset, never from a cache or an old list.",
    name: "find: shows at once what another node changed",
    async run(bench) {
      const { backend, otherBackend, there, call } = bench;
      const volume = await newVolume(bench);
      assert.deepEqual(await backend.find(volume.datasetId, call), [volume]);

      await otherBackend.attach(volume.ref, there, call);

      const [found] = await backend.find(volume.datasetId, call);
      assert.deepEqual(found, { ...volume, attachedTo: there });
    },
  },
  {
    sentence: "Empty when there is none; all of them when a lost answer made a duplicate.",
    name: "find: a dataset without a volume is no error",
    async run({ backend, call, newDatasetId }) {
      assert.deepEqual(await backend.find(newDatasetId(), call), []);
    },
  },
];

const createCases: readonly AttachableCase[] = [
  {
    sentence: "Creates a volume labelled with cluster, dataset and `op`.",
    name: "create: another client of the storage reads the label back",
    async run({ backend, otherBackend, foreignBackend, call, newDatasetId, newOp }) {
      const { sizeBytesMin, sizeBytesStep } = backend.capabilities;
      const sizeBytes = sizeBytesMin + sizeBytesStep;
      const request = { datasetId: newDatasetId(), op: newOp(), sizeBytes };

      const volume = await backend.create(request, call);

      assert.deepEqual({ ...volume, ...request }, volume);
      assert.deepEqual(await otherBackend.find(request.datasetId, call), [volume]);
      assert.deepEqual(await foreignBackend.find(request.datasetId, call), []);
    },
  },
  {
    sentence: "The same `op` twice returns the same volume, also when the first answer was lost.",
    name: "create: the same op from both nodes makes one volume",
    async run({ backend, otherBackend, call, newDatasetId, newOp }) {
      const { sizeBytesMin: sizeBytes } = backend.capabilities;
      const request = { datasetId: newDatasetId(), op: newOp(), sizeBytes };

      const first = await backend.create(request, call);
      const again = await otherBackend.create(request, call);

      assert.deepEqual(again, first);
      assert.equal((await backend.find(request.datasetId, call)).length, 1);
    },
  },
  {
    sentence: "Another `op` for a dataset that has a volume fails with `VOLUME_EXISTS`.",
    name: "create: another op changes nothing",
    async run(bench) {
      const { backend, otherBackend, call, newOp } = bench;
      const volume = await newVolume(bench);
      const { datasetId, sizeBytes } = volume;

      await refuses("VOLUME_EXISTS", () =>
        otherBackend.create({ datasetId, op: newOp(), sizeBytes }, call),
      );

      assert.deepEqual(await backend.find(datasetId, call), [volume]);
    },
  },
  {
    sentence: "A size outside of the capabilities fails with `SIZE_OUT_OF_RANGE`.",
    name: "create: below the minimum, above the maximum and between steps nothing is made",
    async run({ backend, call, newDatasetId, newOp }) {
      const { sizeBytesMin, sizeBytesMax, sizeBytesStep } = backend.capabilities;
      const wrong = [sizeBytesMin - sizeBytesStep, sizeBytesMax + sizeBytesStep];
      if (sizeBytesStep > 1) wrong.push(sizeBytesMin + 1);
      for (const sizeBytes of wrong) {
        const datasetId = newDatasetId();
        await refuses("SIZE_OUT_OF_RANGE", () =>
          backend.create({ datasetId, op: newOp(), sizeBytes }, call),
        );
        assert.deepEqual(await backend.find(datasetId, call), []);
      }
    },
  },
  {
    sentence: "A new volume reads as zeros and is attached to nobody.",
    name: "create: the device of a new volume is empty",
    async run(bench) {
      const { backend, here, call, device } = bench;
      const volume = await newVolume(bench);
      assert.equal(volume.attachedTo, null);
      assert.equal(await backend.device(volume.ref, here, call), null);

      assert.equal(await device.read(await backend.attach(volume.ref, here, call)), "");
    },
  },
];

const attachCases: readonly AttachableCase[] = [
  {
    sentence: "Attaches to this node under a claim and returns its device.",
    name: "attach: the device has the volume's size, and every client sees who has it",
    async run(bench) {
      const { backend, otherBackend, here, call, device } = bench;
      const volume = await newVolume(bench);

      const attached = await backend.attach(volume.ref, here, call);

      assert.equal(await device.sizeBytes(attached), volume.sizeBytes);
      const expected = [{ ...volume, attachedTo: here }];
      assert.deepEqual(await backend.find(volume.datasetId, call), expected);
      assert.deepEqual(await otherBackend.find(volume.datasetId, call), expected);
    },
  },
  {
    sentence: "Attaches to this node under a claim and returns its device.",
    name: "attach: what was written on one node is read on the next",
    async run(bench) {
      const { backend, otherBackend, here, there, call, device } = bench;
      const { ref } = await newVolume(bench);
      await device.write(await backend.attach(ref, here, call), "kept");
      await backend.detach(ref, here.node, call);

      const attached = await otherBackend.attach(ref, there, call);

      assert.equal(await device.read(attached), "kept");
    },
  },
  {
    sentence: "Idempotent for the same node and era (a higher generation is recorded).",
    name: "attach: a second time is the same device, under the newer generation",
    async run(bench) {
      const { backend, here, call } = bench;
      const volume = await newVolume(bench);
      const first = await backend.attach(volume.ref, here, call);
      assert.deepEqual(await backend.attach(volume.ref, here, call), first);
      const newer = { ...here, generation: here.generation + 3 };

      assert.deepEqual(await backend.attach(volume.ref, newer, call), first);

      const [found] = await backend.find(volume.datasetId, call);
      assert.deepEqual(found?.attachedTo, newer);
    },
  },
  {
    sentence: "An attachment of an earlier era of the same node is replaced.",
    name: "attach: after a reboot there is one device, of the new era, and the old one serves nobody",
    async run(bench) {
      const { backend, here, hereLater, call, device } = bench;
      const volume = await newVolume(bench);
      const old = await backend.attach(volume.ref, here, call);
      assert.equal(await backend.device(volume.ref, hereLater, call), null);

      const attached = await backend.attach(volume.ref, hereLater, call);

      assert.notEqual(attached.diskSequence, old.diskSequence);
      await device.write(attached, "new era");
      await device.write(old, "old era").catch(() => "refused, as it should be");
      assert.equal(await device.read(attached), "new era");
      const [found] = await backend.find(volume.datasetId, call);
      assert.deepEqual(found?.attachedTo, hereLater);
      assert.equal(await backend.device(volume.ref, here, call), null);
    },
  },
  {
    sentence:
      "Attached to another node fails with `VOLUME_BUSY` and changes nothing: attach never steals.",
    name: "attach: the holder keeps its device and its record, whatever the generation",
    async run(bench) {
      const { backend, otherBackend, here, there, call, device } = bench;
      const volume = await newVolume(bench);
      const attached = await backend.attach(volume.ref, here, call);
      const newer = { ...there, generation: here.generation + 10 };

      await refuses("VOLUME_BUSY", () => otherBackend.attach(volume.ref, newer, call));

      const expected = [{ ...volume, attachedTo: here }];
      assert.deepEqual(await backend.find(volume.datasetId, call), expected);
      assert.equal(await otherBackend.device(volume.ref, there, call), null);
      await device.write(attached, "still mine");
      assert.equal(await device.read(attached), "still mine");
    },
  },
  {
    sentence:
      "Attached to another node fails with `VOLUME_BUSY` and changes nothing: attach never steals.",
    name: "attach: of both nodes at once exactly one gets it",
    async run(bench) {
      const { backend, otherBackend, here, there, call } = bench;
      const volume = await newVolume(bench);

      const outcomes = await Promise.allSettled([
        backend.attach(volume.ref, here, call),
        otherBackend.attach(volume.ref, there, call),
      ]);

      const won = outcomes.map(({ status }) => status === "fulfilled");
      assert.equal(won.filter(Boolean).length, 1);
      const [found] = await backend.find(volume.datasetId, call);
      assert.deepEqual(found?.attachedTo, won[0] === true ? here : there);
    },
  },
  {
    sentence: "An older generation than the recorded one fails with `VOLUME_BUSY`.",
    name: "attach: a late call under an older claim changes nothing",
    async run(bench) {
      const { backend, here, call } = bench;
      const volume = await newVolume(bench);
      await backend.attach(volume.ref, here, call);
      const older = { ...here, generation: here.generation - 1 };

      await refuses("VOLUME_BUSY", () => backend.attach(volume.ref, older, call));

      const [found] = await backend.find(volume.datasetId, call);
      assert.deepEqual(found?.attachedTo, here);
    },
  },
  {
    sentence: "An unknown volume fails with `VOLUME_NOT_FOUND`.",
    name: "attach: neither what was destroyed nor another cluster's",
    async run(bench) {
      const { backend, foreignBackend, here, call } = bench;
      const { ref, datasetId } = await newVolume(bench);
      await refuses("VOLUME_NOT_FOUND", () => foreignBackend.attach(ref, here, call));

      await backend.destroy(ref, datasetId, call);

      await refuses("VOLUME_NOT_FOUND", () => backend.attach(ref, here, call));
    },
  },
  {
    sentence:
      "The device of a volume that is attached to this node in this era; null when it is not.",
    name: "device: only for the node and era that attached, until it detached",
    async run(bench) {
      const { backend, otherBackend, here, there, hereLater, call } = bench;
      const { ref } = await newVolume(bench);
      assert.equal(await backend.device(ref, here, call), null);
      const attached = await backend.attach(ref, here, call);

      assert.deepEqual(await backend.device(ref, here, call), attached);
      assert.equal(await backend.device(ref, hereLater, call), null);
      assert.equal(await otherBackend.device(ref, there, call), null);

      await backend.detach(ref, here.node, call);
      assert.equal(await backend.device(ref, here, call), null);
    },
  },
];

/**
 * The contract of `AttachableBackend`: at least one case for each sentence of its documentation.
 * Data without a test runner: `for (const item of attachableCases) runAttachableCase(item, makeBench)`.
 */
export const attachableCases: readonly AttachableCase[] = [
  ...lookCases,
  ...createCases,
  ...attachCases,
  ...detachCases,
];
