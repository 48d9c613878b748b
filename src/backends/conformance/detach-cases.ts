import assert from "node:assert/strict";
import type { AttachableBench, AttachableCase } from "./attachable-bench.ts";
import { newVolume } from "./attachable-bench.ts";
import { refuses } from "./run-case.ts";

/** A write that the device may refuse: what counts is what the volume holds then. */
async function tryWrite(
  { device }: AttachableBench,
  old: Parameters<AttachableBench["device"]["write"]>[0],
): Promise<void> {
  await device.write(old, "from the old node").catch(() => "refused, as it should be");
}

const ownDetachCases: readonly AttachableCase[] = [
  {
    sentence: "Ends this node's own attachment, whichever era made it.",
    name: "detach: also one of before the reboot",
    async run(bench) {
      const { backend, here, call } = bench;
      const volume = await newVolume(bench);
      await backend.attach(volume.ref, here, call);

      await backend.detach(volume.ref, here.node, call);

      assert.deepEqual(await backend.find(volume.datasetId, call), [volume]);
    },
  },
  {
    sentence: "Idempotent, also for a volume that is not attached or no longer exists.",
    name: "detach: a second time, and after the volume is gone, is quiet",
    async run(bench) {
      const { backend, here, call } = bench;
      const { ref, datasetId } = await newVolume(bench);
      await backend.detach(ref, here.node, call);
      await backend.attach(ref, here, call);
      await backend.detach(ref, here.node, call);
      await backend.detach(ref, here.node, call);

      await backend.destroy(ref, datasetId, call);

      await backend.detach(ref, here.node, call);
    },
  },
  {
    sentence: "Another node's attachment is left alone.",
    name: "detach: asked for by a node that does not have it, changes nothing",
    async run(bench) {
      const { backend, otherBackend, here, there, call } = bench;
      const volume = await newVolume(bench);
      const attached = await backend.attach(volume.ref, here, call);

      await otherBackend.detach(volume.ref, there.node, call);

      const [found] = await backend.find(volume.datasetId, call);
      assert.deepEqual(found?.attachedTo, here);
      assert.deepEqual(await backend.device(volume.ref, here, call), attached);
    },
  },
  {
    sentence: "A device that is in use fails with `VOLUME_BUSY` and stays attached.",
    name: "detach: while somebody uses the device it goes on serving",
    async run(bench) {
      const { backend, here, call, device } = bench;
      const volume = await newVolume(bench);
      const attached = await backend.attach(volume.ref, here, call);
      {
        await using _use = await device.use(attached);
        await refuses("VOLUME_BUSY", () => backend.detach(volume.ref, here.node, call));
        const [found] = await backend.find(volume.datasetId, call);
        assert.deepEqual(found?.attachedTo, here);
      }
      assert.deepEqual(await backend.device(volume.ref, here, call), attached);
      await backend.detach(volume.ref, here.node, call);
    },
  },
  {
    sentence:
      "The agent's own exclusive hold (`Host.holdExclusively`) is no use: it may stand until the " +
      "detach has returned.",
    name: "detach: under the agent's exclusive hold the device goes",
    async run(bench) {
      const { backend, here, call, device } = bench;
      const volume = await newVolume(bench);
      const attached = await backend.attach(volume.ref, here, call);
      await using _hold = await device.hold(attached);

      await backend.detach(volume.ref, here.node, call);

      assert.deepEqual(await backend.find(volume.datasetId, call), [volume]);
      assert.equal(await backend.device(volume.ref, here, call), null);
    },
  },
  {
    sentence: "When it has returned, a write through the old device does not reach the volume.",
    name: "detach: the old node's write is not in what the next node reads",
    async run(bench) {
      const { backend, otherBackend, here, there, call, device } = bench;
      const { ref } = await newVolume(bench);
      const old = await backend.attach(ref, here, call);
      await device.write(old, "acknowledged");

      await backend.detach(ref, here.node, call);

      await tryWrite(bench, old);
      const next = await otherBackend.attach(ref, there, call);
      await tryWrite(bench, old);
      assert.equal(await device.read(next), "acknowledged");
    },
  },
];

const forceDetachCases: readonly AttachableCase[] = [
  {
    sentence:
      "Ends the attachment of another node, which must be `target`; anything else is left alone.",
    name: "forceDetach: only if the target is who has it",
    async run(bench) {
      const { backend, otherBackend, here, there, call } = bench;
      const volume = await newVolume(bench);
      await otherBackend.attach(volume.ref, there, call);
      await backend.forceDetach(volume.ref, here.node, call);
      const [kept] = await backend.find(volume.datasetId, call);
      assert.deepEqual(kept?.attachedTo, there);

      await backend.forceDetach(volume.ref, there.node, call);

      assert.deepEqual(await backend.find(volume.datasetId, call), [volume]);
      assert.equal(await otherBackend.device(volume.ref, there, call), null);
      await backend.attach(volume.ref, here, call);
    },
  },
  {
    sentence: "Idempotent.",
    name: "forceDetach: again, of a volume that is not attached, or that is gone, is quiet",
    async run(bench) {
      const { backend, there, call } = bench;
      const { ref, datasetId } = await newVolume(bench);
      await backend.forceDetach(ref, there.node, call);
      await backend.destroy(ref, datasetId, call);

      await backend.forceDetach(ref, there.node, call);
    },
  },
  {
    sentence:
      "With `exclusive: enforced` a write through the target's device does not reach the volume " +
      "any more once another node has attached it.",
    name: "forceDetach: the target's late write is not in what the next node reads",
    needs: ({ exclusive }) => exclusive === "enforced",
    async run(bench) {
      const { backend, otherBackend, here, there, call, device } = bench;
      const { ref } = await newVolume(bench);
      const old = await otherBackend.attach(ref, there, call);
      await device.write(old, "acknowledged");
      await backend.forceDetach(ref, there.node, call);

      const next = await backend.attach(ref, here, call);

      await tryWrite(bench, old);
      assert.equal(await device.read(next), "acknowledged");
    },
  },
];

const destroyCases: readonly AttachableCase[] = [
  {
    sentence: "Destroys the volume.",
    name: "destroy: list, find and every client forget it, the others stay",
    async run(bench) {
      const { backend, otherBackend, call } = bench;
      const volume = await newVolume(bench);
      const other = await newVolume(bench);

      await backend.destroy(volume.ref, volume.datasetId, call);

      assert.deepEqual(await otherBackend.find(volume.datasetId, call), []);
      const refs = (await otherBackend.list(call)).map(({ ref }) => ref);
      assert.ok(!refs.includes(volume.ref));
      assert.ok(refs.includes(other.ref));
    },
  },
  {
    sentence: "Idempotent, also for one that no longer exists.",
    name: "destroy: a second time is quiet",
    async run(bench) {
      const { backend, otherBackend, call } = bench;
      const { ref, datasetId } = await newVolume(bench);
      await backend.destroy(ref, datasetId, call);

      await backend.destroy(ref, datasetId, call);
      await otherBackend.destroy(ref, datasetId, call);
    },
  },
  {
    sentence: "Attached to anybody fails with `VOLUME_BUSY` and destroys nothing.",
    name: "destroy: neither the holder nor another node can, and the content stays",
    async run(bench) {
      const { backend, otherBackend, here, call, device } = bench;
      const { ref, datasetId } = await newVolume(bench);
      const attached = await backend.attach(ref, here, call);
      await device.write(attached, "kept");

      await refuses("VOLUME_BUSY", () => backend.destroy(ref, datasetId, call));
      await refuses("VOLUME_BUSY", () => otherBackend.destroy(ref, datasetId, call));

      assert.equal(await device.read(attached), "kept");
    },
  },
  {
    sentence: "The label must name `datasetId`, otherwise `VOLUME_NOT_FOUND`.",
    name: "destroy: under another dataset's name, or by another cluster, destroys nothing",
    async run(bench) {
      const { backend, foreignBackend, call, newDatasetId } = bench;
      const volume = await newVolume(bench);

      await refuses("VOLUME_NOT_FOUND", () => backend.destroy(volume.ref, newDatasetId(), call));
      await refuses("VOLUME_NOT_FOUND", () =>
        foreignBackend.destroy(volume.ref, volume.datasetId, call),
      );

      assert.deepEqual(await backend.find(volume.datasetId, call), [volume]);
    },
  },
];

/** Cases of what takes away: detach, forceDetach, destroy. */
export const detachCases: readonly AttachableCase[] = [
  ...ownDetachCases,
  ...forceDetachCases,
  ...destroyCases,
];
