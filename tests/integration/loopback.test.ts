import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseClusterId, parseOpId } from "../../src/domain/ids.ts";
import type { Volume } from "../../src/domain/volume.ts";
import { readSysfs } from "../../src/lib/block-device.ts";
import { linuxHost } from "./linux-host.ts";
import { call, mebi, run, scratch } from "./loop-image.ts";
import { loopbackBench, openLoopback } from "./loopback-bench.ts";

type Bench = Awaited<ReturnType<typeof loopbackBench>>;
let stack: AsyncDisposableStack;
let bench: Bench;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  bench = await loopbackBench();
});

afterEach(async () => {
  await stack.disposeAsync();
  run("rm", "-rf", join(bench.rootPath, "volumes"), join(bench.rootPath, "attachments"));
  run("mkdir", join(bench.rootPath, "volumes"), join(bench.rootPath, "attachments"));
  await bench[Symbol.asyncDispose]();
});

async function newVolume(sizeBytes = 64 * mebi): Promise<Volume> {
  const request = { datasetId: bench.newDatasetId(), op: bench.newOp(), sizeBytes };
  return bench.backend.create(request, call());
}

function image(volume: Volume): string {
  return join(bench.rootPath, "volumes", `${volume.ref}.img`);
}

function sha256(file: string): string {
  return run("sha256sum", file).split(" ")[0] ?? "";
}

function url(path: string): string {
  return new URL(`../../src/${path}`, import.meta.url).href;
}

describe("a loopback volume", () => {
  test("of 104857600 bytes is 104857600 bytes large, and sparse", async () => {
    const volume = await newVolume(104_857_600);

    const device = await bench.backend.attach(volume.ref, bench.here, call());

    expect(await bench.device.sizeBytes(device)).toBe(104_857_600);
    expect(statSync(image(volume)).blocks * 512).toBeLessThan(mebi);
    expect(await readSysfs(device.path, "loop/dio")).toBe("1");
    await bench.backend.detach(volume.ref, bench.here.node, call());
  });

  test("whose file vanished is not there, and none is made in its place", async () => {
    const volume = await newVolume();
    rmSync(image(volume));

    expect(await bench.backend.find(volume.datasetId, call())).toEqual([]);
    await expect(bench.backend.attach(volume.ref, bench.here, call())).rejects.toMatchObject({
      code: "VOLUME_NOT_FOUND",
    });
    const { datasetId, op, sizeBytes } = volume;
    await expect(bench.backend.create({ datasetId, op, sizeBytes }, call())).rejects.toMatchObject({
      code: "VOLUME_NOT_FOUND",
    });
    await expect(
      bench.backend.create({ datasetId, op: parseOpId(randomUUID()), sizeBytes }, call()),
    ).rejects.toMatchObject({ code: "VOLUME_EXISTS" });

    expect(existsSync(image(volume))).toBe(false);
  });

  test("whose file was truncated is refused and left as it is", async () => {
    const volume = await newVolume();
    truncateSync(image(volume), 10 * mebi);

    await expect(bench.backend.attach(volume.ref, bench.here, call())).rejects.toMatchObject({
      code: "BACKEND_REJECTED",
      message: expect.stringContaining("truncated or replaced"),
    });

    expect(statSync(image(volume)).size).toBe(10 * mebi);
    expect(await bench.backend.find(volume.datasetId, call())).toMatchObject([
      { attachedTo: null },
    ]);
  });

  test("whose file was exchanged with another volume's is foreign, and both are left", async () => {
    const directory = scratch(stack);
    const host = await linuxHost(stack, directory);
    const volumes = [await newVolume(), await newVolume()] as const;
    const clusterId = parseClusterId(randomUUID());
    for (const { ref, datasetId, op } of volumes) {
      const device = await bench.backend.attach(ref, bench.here, call());
      const identity = { clusterId, datasetId, lineage: op, generation: 0 };
      await host.format(device, identity, "ext4", call());
      await bench.backend.detach(ref, bench.here.node, call());
    }
    const [first, second] = volumes;
    renameSync(image(first), join(bench.rootPath, "aside"));
    renameSync(image(second), image(first));
    renameSync(join(bench.rootPath, "aside"), image(second));
    const before = volumes.map((volume) => sha256(image(volume)));

    const device = await bench.backend.attach(first.ref, bench.here, call());
    const expected = { clusterId, datasetId: first.datasetId, lineage: bench.newOp() };
    const content = await host.inspect(device, expected, "ext4", call());

    expect(content).toMatchObject({ kind: "foreign" });
    await bench.backend.detach(first.ref, bench.here.node, call());
    expect(volumes.map((volume) => sha256(image(volume)))).toEqual(before);
  });

  test("whose file was replaced while attached keeps what was written to the old one", async () => {
    const volume = await newVolume();
    const device = await bench.backend.attach(volume.ref, bench.here, call());
    await bench.device.write(device, "acknowledged");
    rmSync(image(volume));
    writeFileSync(image(volume), Buffer.alloc(0));
    truncateSync(image(volume), volume.sizeBytes);

    await bench.backend.detach(volume.ref, bench.here.node, call());

    const name = `${volume.ref}.${bench.here.node}.${bench.here.era}.img.kept`;
    const kept = readFileSync(join(bench.rootPath, "attachments", name));
    expect(kept.subarray(0, 12).toString()).toBe("acknowledged");
  });
});

describe("detach from a node", () => {
  test("does not believe losetup -d while somebody has the device open", async () => {
    const volume = await newVolume();
    const device = await bench.backend.attach(volume.ref, bench.here, call());
    const reader = spawn("sh", ["-c", 'exec 3< "$1"; echo open; read -r line', "sh", device.path]);
    const ended = once(reader, "close");
    await once(reader.stdout, "data");

    await expect(bench.backend.detach(volume.ref, bench.here.node, call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
    });

    const [found] = await bench.backend.find(volume.datasetId, call());
    expect(found?.attachedTo).toEqual(bench.here);
    reader.stdin.end();
    await ended;
    await bench.backend.detach(volume.ref, bench.here.node, call());
    expect(await bench.backend.find(volume.datasetId, call())).toMatchObject([
      { attachedTo: null },
    ]);
  });

  test("finds the device of an attach that was killed before it was answered", async () => {
    const volume = await newVolume();
    const { node, era, generation } = bench.here;
    const attachments = join(bench.rootPath, "attachments");
    const link = join(attachments, `${volume.ref}.${node}.${era}.img`);
    const record = JSON.stringify({ node, era, generation });
    writeFileSync(join(attachments, `${volume.ref}.json`), `${record}\n`);
    run("ln", image(volume), link);
    const path = run("losetup", "--find", "--show", link).trim();

    expect(await bench.backend.device(volume.ref, bench.here, call())).toMatchObject({ path });
    await bench.backend.detach(volume.ref, node, call());

    expect(await readSysfs(path, "loop/backing_file")).toBeNull();
    expect(existsSync(link)).toBe(false);
  });

  test("never touches the loop device that another node has of the same volume", async () => {
    const volume = await newVolume();
    const theirs = await bench.otherBackend.attach(volume.ref, bench.there, call());
    await bench.backend.forceDetach(volume.ref, bench.there.node, call());
    await bench.backend.attach(volume.ref, bench.here, call());

    await bench.backend.detach(volume.ref, bench.here.node, call());

    expect(await readSysfs(theirs.path, "loop/backing_file")).not.toBeNull();
    await bench.otherBackend.detach(volume.ref, bench.there.node, call());
    expect(await readSysfs(theirs.path, "loop/backing_file")).toBeNull();
  });
});

describe("the directory", () => {
  test("is not used when another one is in its place", async () => {
    await newVolume();
    const { rootPath } = bench;
    renameSync(rootPath, `${rootPath}.away`);
    run("mkdir", "-p", join(rootPath, "volumes"), join(rootPath, "attachments"));

    await expect(newVolume()).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    await expect(bench.backend.list(call())).rejects.toMatchObject({
      code: "BACKEND_UNAVAILABLE",
    });

    expect(run("ls", join(rootPath, "volumes"))).toBe("");
    rmSync(rootPath, { recursive: true });
    renameSync(`${rootPath}.away`, rootPath);
  });

  test("is never made anew once this node used it, and needs not be there at the next start", async () => {
    const { rootPath } = bench;
    const volume = await newVolume();
    renameSync(rootPath, `${rootPath}.away`);

    const clusterId = parseClusterId(randomUUID());
    const again = await openLoopback(rootPath, clusterId);

    await expect(again.find(volume.datasetId, call())).rejects.toMatchObject({
      code: "BACKEND_UNAVAILABLE",
      message: expect.stringContaining("is it mounted?"),
    });
    expect(existsSync(rootPath)).toBe(false);
    renameSync(`${rootPath}.away`, rootPath);
    expect(await again.find(volume.datasetId, call())).toEqual([]);
  });

  test("is away, and not begun anew, while this node's note of it is damaged", async () => {
    writeFileSync(`${bench.rootPath}-data/pools/san.san.json`, "{");

    await expect(openLoopback(bench.rootPath, parseClusterId(randomUUID()))).rejects.toMatchObject({
      code: "BACKEND_UNAVAILABLE",
      message: expect.stringContaining("remove it once the storage is there"),
    });
  });

  test("syncs label and image before create is answered", async () => {
    const trace = join(scratch(stack), "trace");
    const volume = { datasetId: bench.newDatasetId(), op: bench.newOp(), sizeBytes: 64 * mebi };
    const script = `
      const { openBackend } = await import(process.argv[1]);
      const { silentLogger: log } = await import(process.argv[2]);
      const pool = { backend: "loopback", options: { root_path: process.argv[3] } };
      const clusterId = "4b3f8a52-3f0c-4bb1-9a2d-5b8ad4c2d9f0";
      const dataDir = process.argv[5];
      const context = { clusterId, pool: "san", runDir: "/tmp", dataDir, log };
      const { backend } = await openBackend(pool, context);
      const signal = new AbortController().signal;
      await backend.create(JSON.parse(process.argv[4]), { signal, deadlineMs: 20000, log });
    `;
    const args = [url("backends/registry.ts"), url("lib/log.ts"), bench.rootPath];
    const traced = "trace=fsync,rename,renameat,renameat2,ftruncate";
    const strace = ["-f", "-qq", "-e", traced, "-y", "-o", trace];
    const node = [process.execPath, "--input-type=module", "-e", script];
    const data = join(scratch(stack), "data");
    run("strace", ...strace, ...node, ...args, JSON.stringify(volume), data);

    const lines = readFileSync(trace, "utf8").split("\n");
    const at = (pattern: RegExp): number => lines.findIndex((line) => pattern.test(line));
    const order = [
      at(/ftruncate\(.*\.img/),
      at(/fsync\(.*\.img>\) += 0/),
      at(/fsync\(.*\.json\.new\.\d+>\) += 0/),
      at(/rename.*\.json\.new\.\d+.*= 0/),
      at(/fsync\(.*\/volumes>\) += 0/),
    ];
    expect(order.every((index) => index >= 0)).toBe(true);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });
});
