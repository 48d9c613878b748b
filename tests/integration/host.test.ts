import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseOpId } from "../../src/domain/ids.ts";
import type { FileSystem } from "../../src/domain/record.ts";
import type { Device, Identity } from "../../src/domain/volume.ts";
import { LinuxHost } from "../../src/host/linux-host.ts";
import { isHeldByFlocker } from "../../src/lib/exclusive-hold.ts";
import { call, loopImage, mebi, run, scratch, succeeds } from "./loop-image.ts";
import { linuxHost, newIdentity } from "./linux-host.ts";
import { otherNamespace } from "./other-namespace.ts";

let stack: AsyncDisposableStack;
let directory: string;
let host: LinuxHost;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  directory = scratch(stack);
  host = await linuxHost(stack, directory);
});

afterEach(() => stack.disposeAsync());

async function formatted(
  identity: Identity,
  fileSystem: FileSystem = "ext4",
): Promise<{ readonly device: Device; readonly file: string }> {
  const sizeBytes = fileSystem === "xfs" ? 320 * mebi : 64 * mebi;
  const image = await loopImage(stack, directory, { name: `${identity.datasetId}.img`, sizeBytes });
  await host.format(image.device, identity, fileSystem, call());
  return image;
}

function takenDown(identity: Identity): void {
  stack.defer(async () => {
    await host.hide(identity.datasetId, call());
    await host.unmountVolume(identity.datasetId, call());
  });
}

function sha256(file: string): string {
  return run("sha256sum", file).split(" ")[0] ?? "";
}

describe.each(["ext4", "xfs"] as const)("a volume with %s", (fileSystem) => {
  test("is blank, then ours with generation 0, then shown empty with the claim's", async () => {
    const identity = newIdentity();
    const sizeBytes = fileSystem === "xfs" ? 320 * mebi : 64 * mebi;
    const { device } = await loopImage(stack, directory, { sizeBytes });
    expect(await host.inspect(device, identity, fileSystem, call())).toEqual({ kind: "blank" });

    await host.format(device, identity, fileSystem, call());

    const content = await host.inspect(device, identity, fileSystem, call());
    expect(content).toEqual({ kind: "ours", identity });
    takenDown(identity);
    await host.mountVolume(device, { ...identity, generation: 3 }, fileSystem, call());
    await host.show(identity.datasetId, call());
    expect(await host.mounts(identity.datasetId)).toMatchObject({ volume: true, shown: true });
    const shown = join(directory, "flocker", identity.datasetId);
    expect(run("ls", "-A", shown)).toBe("");
    expect(statSync(shown).mode & 0o777).toBe(0o777);
    writeFileSync(join(shown, "kept"), "yes");
    await host.hide(identity.datasetId, call());
    await host.unmountVolume(identity.datasetId, call());
    const after = await host.inspect(device, identity, fileSystem, call());
    expect(after).toEqual({ kind: "ours", identity: { ...identity, generation: 3 } });
  });

  test("is not written to by a look, also when its journal is not empty", async () => {
    const identity = newIdentity();
    const { device, file } = await formatted(identity, fileSystem);
    takenDown(identity);
    await host.mountVolume(device, { ...identity, generation: 1 }, fileSystem, call());
    const vol = join(directory, "run/vol", identity.datasetId);
    writeFileSync(join(vol, "data/dirty"), "x".repeat(100_000));
    run("sync", "-f", vol);
    run("cp", "--sparse=always", file, join(directory, "crashed.img"));
    await host.unmountVolume(identity.datasetId, call());
    run("losetup", "-d", device.path);
    const crashed = run("losetup", "-f", "--show", join(directory, "crashed.img")).trim();
    stack.defer(() => void succeeds("losetup", "-d", crashed));
    run("cp", "--sparse=always", join(directory, "crashed.img"), join(directory, "before.img"));

    const diskSequence = Number(readFileSync(`/sys/class/block/${crashed.slice(5)}/diskseq`));
    const content = await host.inspect(
      { path: crashed, diskSequence },
      identity,
      fileSystem,
      call(),
    );

    expect(content).toEqual({ kind: "ours", identity: { ...identity, generation: 1 } });
    run("sync", join(directory, "crashed.img"));
    run("cmp", join(directory, "crashed.img"), join(directory, "before.img"));
  });

  test("is cut from a writer without writing what it had not written yet", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity, fileSystem);
    takenDown(identity);
    await host.mountVolume(device, { ...identity, generation: 1 }, fileSystem, call());
    await host.show(identity.datasetId, call());
    const shown = join(directory, "flocker", identity.datasetId);
    run("dd", "if=/dev/zero", `of=${shown}/dirty`, "bs=1M", "count=20", "status=none");
    const name = device.path.slice(5);
    const written = (): number =>
      Number(readFileSync(`/sys/class/block/${name}/stat`, "utf8").trim().split(/\s+/)[6]);
    const before = written();

    await host.cut(identity.datasetId, call());

    expect(await host.mounts(identity.datasetId)).toMatchObject({ volume: false, shown: false });
    expect(written() - before).toBeLessThan(1000);
  });
});

describe("identity", () => {
  test("another dataset's volume is foreign and is not mounted", async () => {
    const [ours, other] = [newIdentity(), newIdentity()];
    const { device, file } = await formatted(other);
    const before = sha256(file);

    expect(await host.inspect(device, ours, "ext4", call())).toMatchObject({ kind: "foreign" });
    await expect(host.mountVolume(device, ours, "ext4", call())).rejects.toMatchObject({
      code: "BACKEND_REJECTED",
      details: { condition: "IDENTITY_MISMATCH" },
    });

    expect(await host.mounts(ours.datasetId)).toMatchObject({ volume: false });
    expect(sha256(file)).toBe(before);
  });

  test("a volume that was used under a newer generation is not mounted", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    takenDown(identity);
    await host.mountVolume(device, { ...identity, generation: 7 }, "ext4", call());
    await host.unmountVolume(identity.datasetId, call());

    await expect(
      host.mountVolume(device, { ...identity, generation: 6 }, "ext4", call()),
    ).rejects.toMatchObject({ details: { condition: "STALE_CLAIM" } });

    expect(await host.mounts(identity.datasetId)).toMatchObject({ volume: false });
  });

  test("an unfinished mkfs may be made again, with files in it it may not", async () => {
    const identity = newIdentity();
    const { device } = await loopImage(stack, directory);
    run("mkfs.ext4", "-q", "-U", identity.datasetId, device.path);

    expect(await host.inspect(device, identity, "ext4", call())).toEqual({ kind: "unfinished" });
    await host.format(device, identity, "ext4", call());
    expect(await host.inspect(device, identity, "ext4", call())).toMatchObject({ kind: "ours" });

    takenDown(identity);
    await host.mountVolume(device, identity, "ext4", call());
    const vol = join(directory, "run/vol", identity.datasetId);
    writeFileSync(join(vol, "data/file"), "");
    run("rm", join(vol, "identity"));
    await host.unmountVolume(identity.datasetId, call());
    expect(await host.inspect(device, identity, "ext4", call())).toMatchObject({ kind: "foreign" });
  });

  test("garbage without a signature is neither blank nor formatted", async () => {
    const identity = newIdentity();
    const { device, file } = await loopImage(stack, directory);
    run("dd", "if=/dev/urandom", `of=${file}`, "bs=4096", "count=4", "seek=10", "conv=notrunc");
    run("blockdev", "--flushbufs", device.path);
    const before = sha256(file);

    expect(await host.inspect(device, identity, "ext4", call())).toMatchObject({ kind: "foreign" });
    await expect(host.format(device, identity, "ext4", call())).rejects.toMatchObject({
      code: "BACKEND_REJECTED",
    });

    expect(sha256(file)).toBe(before);
  });

  test("a mkfs of another claim may be made again until it was used", async () => {
    const late = newIdentity();
    const { device } = await formatted(late);
    const identity = { ...late, lineage: parseOpId(randomUUID()) };
    expect(await host.inspect(device, identity, "ext4", call())).toEqual({ kind: "unfinished" });
    await host.format(device, identity, "ext4", call());
    const ours = await host.inspect(device, identity, "ext4", call());
    expect(ours).toEqual({ kind: "ours", identity });

    takenDown(identity);
    await host.mountVolume(device, { ...identity, generation: 1 }, "ext4", call());
    await host.unmountVolume(identity.datasetId, call());

    const used = { kind: "ours", identity: { ...identity, generation: 1 } };
    expect(await host.inspect(device, late, "ext4", call())).toEqual(used);
    await expect(host.format(device, late, "ext4", call())).rejects.toMatchObject({
      code: "BACKEND_REJECTED",
    });
  });

  test("a torn write of the identity leaves the one before it", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    takenDown(identity);
    await host.mountVolume(device, { ...identity, generation: 1 }, "ext4", call());
    await host.unmountVolume(identity.datasetId, call());
    await host.mountVolume(device, { ...identity, generation: 2 }, "ext4", call());
    const file = join(directory, "run/vol", identity.datasetId, "identity");
    const torn = ["bs=100", "count=1", "seek=1", "conv=notrunc,fsync", "status=none"];
    run("dd", "if=/dev/urandom", `of=${file}`, ...torn);
    await host.unmountVolume(identity.datasetId, call());

    const content = await host.inspect(device, identity, "ext4", call());

    expect(content).toEqual({ kind: "ours", identity: { ...identity, generation: 1 } });
  });

  test("another disk under the same path is refused", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    const other = { ...device, diskSequence: device.diskSequence - 1 };

    await expect(host.inspect(other, identity, "ext4", call())).rejects.toMatchObject({
      code: "BACKEND_REJECTED",
    });
    await expect(host.mountVolume(other, identity, "ext4", call())).rejects.toMatchObject({
      code: "BACKEND_REJECTED",
    });
    await expect(host.format(other, identity, "ext4", call())).rejects.toMatchObject({
      code: "BACKEND_REJECTED",
    });
  });

  test("another disk that the path leads to by now is left as it is", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    const other = await formatted(newIdentity());
    const blank = await loopImage(stack, directory, { name: "blank.img" });
    for (const there of [other, blank]) {
      // The name is that of the attached device, what it leads to is not.
      const path = join(directory, device.path.slice(5));
      run("ln", "-sfn", there.device.path, path);
      const before = sha256(there.file);
      const swapped = { ...device, path };
      const refused = { code: "BACKEND_REJECTED" };

      const claimed = { ...identity, generation: 1 };
      await expect(host.inspect(swapped, identity, "ext4", call())).rejects.toMatchObject(refused);
      await expect(host.format(swapped, identity, "ext4", call())).rejects.toMatchObject(refused);
      const mounted = host.mountVolume(swapped, claimed, "ext4", call());
      await expect(mounted).rejects.toMatchObject(refused);

      expect(sha256(there.file)).toBe(before);
    }
  });

  test("a device that vanished under its file is an error, not a blank one", async () => {
    const identity = newIdentity();
    const { device, file } = await loopImage(stack, directory);
    truncateSync(file, 0);

    await expect(host.inspect(device, identity, "ext4", call())).rejects.toMatchObject({
      name: "FlockerError",
    });
  });
});

describe("what containers see", () => {
  test("nothing can be written or made where nothing is mounted", async () => {
    const root = join(directory, "flocker");
    const identity = newIdentity();
    const { device } = await formatted(identity);
    expect(succeeds("mkdir", join(root, identity.datasetId))).toBe(false);
    takenDown(identity);
    await host.mountVolume(device, identity, "ext4", call());
    await host.show(identity.datasetId, call());
    await host.show(identity.datasetId, call());

    const shown = join(root, identity.datasetId);
    const underneath = run(
      ...(["unshare", "-m", "sh", "-c"] as const),
      `umount ${shown} && touch ${shown}/x 2>&1; true`,
    );

    expect(underneath).toContain("not permitted");
    expect(await host.seenByEngine(identity.datasetId, process.pid, call())).toBe(true);
    await host.hide(identity.datasetId, call());
    await host.hide(identity.datasetId, call());
    expect(existsSync(shown)).toBe(false);
    expect(succeeds("mkdir", shown)).toBe(false);
    expect(await host.seenByEngine(identity.datasetId, process.pid, call())).toBe(false);
  });

  test("where the file system knows no immutable flag, a read-only tmpfs stands in for it", async () => {
    const base = mkdtempSync(join(directory, "flagless-"));
    run("mount", "-t", "ramfs", "none", base);
    stack.defer(() => void succeeds("umount", base));
    const paths = { mountRoot: join(base, "flocker"), runDir: join(directory, "run") };
    const flagless = new LinuxHost(paths);
    await flagless.prepare(call());
    stack.defer(() => flagless.dismantle(call()).catch(() => {}));
    const identity = newIdentity();
    const { device } = await formatted(identity);
    const shown = join(paths.mountRoot, identity.datasetId);

    expect(succeeds("mkdir", shown)).toBe(false);
    await flagless.mountVolume(device, identity, "ext4", call());
    await flagless.show(identity.datasetId, call());
    writeFileSync(join(shown, "kept"), "yes");
    await flagless.hide(identity.datasetId, call());
    await flagless.unmountVolume(identity.datasetId, call());

    expect(existsSync(shown)).toBe(false);
    expect(succeeds("mkdir", shown)).toBe(false);
  });

  test("an engine whose mount namespace gets nothing of ours is told apart", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    takenDown(identity);
    await using engine = await otherNamespace();
    await host.mountVolume(device, identity, "ext4", call());
    await host.show(identity.datasetId, call());

    expect(await host.seenByEngine(identity.datasetId, engine.pid, call())).toBe(false);
  });

  test("a mount point that a crash left is removed at the next start", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    takenDown(identity);
    await host.mountVolume(device, identity, "ext4", call());
    await host.show(identity.datasetId, call());
    run("umount", join(directory, "flocker", identity.datasetId));
    expect(existsSync(join(directory, "flocker", identity.datasetId))).toBe(true);

    await host.prepare(call());

    expect(existsSync(join(directory, "flocker", identity.datasetId))).toBe(false);
    expect(await host.mountedDatasets()).toEqual([identity.datasetId]);
    run("umount", join(directory, "run/vol", identity.datasetId));
    expect(existsSync(join(directory, "run/vol", identity.datasetId))).toBe(true);
    expect(await host.mountedDatasets()).toEqual([]);
  });
});

describe("holders", () => {
  test("a process of another namespace that still has the volume is named", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    takenDown(identity);
    await host.mountVolume(device, identity, "ext4", call());
    await host.show(identity.datasetId, call());
    const elsewhere = mkdtempSync(join(directory, "elsewhere-"));
    const shown = join(directory, "flocker", identity.datasetId);
    await using other = await otherNamespace(shown, elsewhere);
    expect(await host.holders(identity.datasetId, device, call())).toMatchObject([
      { pid: other.pid },
    ]);

    await host.hide(identity.datasetId, call());
    await host.unmountVolume(identity.datasetId, call());

    expect(await host.holders(identity.datasetId, null, call())).toMatchObject([
      { pid: other.pid },
    ]);
    await expect(host.holdExclusively(device, call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
    });
    await other[Symbol.asyncDispose]();
    expect(await host.holders(identity.datasetId, device, call())).toEqual([]);
    const hold = await host.holdExclusively(device, call());
    await expect(host.holdExclusively(device, call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
    });
    await hold.release();
    await (await host.holdExclusively(device, call())).release();
  });

  test("a mount that only an open file keeps has a holder, until it is cut", async () => {
    const identity = newIdentity();
    const { datasetId } = identity;
    const { device } = await formatted(identity);
    takenDown(identity);
    await host.mountVolume(device, identity, "ext4", call());
    const reader = spawn("cat", { cwd: join(directory, "run", "vol", datasetId) });
    const ended = once(reader, "close");
    run("umount", "-l", join(directory, "run", "vol", datasetId));
    expect(await host.holders(datasetId, device, call())).toEqual([]);

    expect(await host.holders(datasetId, null, call())).toMatchObject([
      { command: expect.stringContaining(device.path) },
    ]);

    await host.cut(datasetId, call());
    expect(await host.holders(datasetId, null, call())).toEqual([]);
    reader.stdin.end();
    await ended;
  });

  test("copies of our own mounts are none, and go with the mounts: a service, a bind of all", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    takenDown(identity);
    await host.mountVolume(device, identity, "ext4", call());
    await host.show(identity.datasetId, call());
    await using _service = await otherNamespace();
    const monitored = mkdtempSync(join(directory, "monitored-"));
    await using monitor = await otherNamespace(join(directory, "flocker"), monitored);
    expect(readFileSync(`/proc/${monitor.pid}/mountinfo`, "utf8")).toContain(monitored);
    expect(await host.holders(identity.datasetId, device, call())).toEqual([]);

    await host.hide(identity.datasetId, call());
    await host.unmountVolume(identity.datasetId, call());

    await (await host.holdExclusively(device, call())).release();
  });

  test("who has files open on this machine is named when it cannot be unmounted", async () => {
    const identity = newIdentity();
    const { device } = await formatted(identity);
    takenDown(identity);
    await host.mountVolume(device, identity, "ext4", call());
    await host.show(identity.datasetId, call());
    const reader = spawn("cat", { cwd: join(directory, "flocker", identity.datasetId) });
    const ended = once(reader, "close");

    await expect(host.hide(identity.datasetId, call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
      message: expect.stringContaining(`${reader.pid} (cat)`),
    });

    expect(await host.mounts(identity.datasetId)).toMatchObject({ shown: true });
    reader.stdin.end();
    await ended;
    await host.hide(identity.datasetId, call());
  });

  test("an exclusive hold ends with the process that asked for it", async () => {
    const { device } = await loopImage(stack, directory);
    const script = `
      const { holdDevice } = await import(process.argv[1]);
      await holdDevice(JSON.parse(process.argv[2]), { deadlineMs: 5000, busyMsMax: 0 });
      console.log("held");
      setInterval(() => {}, 1000);
    `;
    const module = new URL("../../src/lib/exclusive-hold.ts", import.meta.url).href;
    const args = ["--input-type=module", "-e", script, module, JSON.stringify(device)];
    const agent = spawn(process.execPath, args);
    await once(agent.stdout, "data");
    expect(await isHeldByFlocker(device.path)).toBe(true);
    const ended = once(agent, "close");

    agent.kill("SIGKILL");

    await ended;
    await expect.poll(() => isHeldByFlocker(device.path), { timeout: 10_000 }).toBe(false);
    await (await host.holdExclusively(device, call())).release();
  });
});
