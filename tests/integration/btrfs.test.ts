import { randomUUID } from "node:crypto";
import { existsSync, renameSync, rmSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { directoryProbe as files } from "../../src/backends/conformance/directory-probe.ts";
import {
  kinds,
  moveOver,
  newIdentity,
  newLive,
  newReceived,
  type Place,
  transfer,
} from "../../src/backends/conformance/local-bench.ts";
import type { StreamOf } from "../../src/backends/local.ts";
import { parseClusterId } from "../../src/domain/ids.ts";
import {
  btrfsBench,
  detachPool,
  imageOf,
  mountOf,
  openPool,
  poolBytes,
  type PoolNode,
  poolNode,
} from "./btrfs-bench.ts";
import { call, loopImage, mebi, run, scratch, succeeds } from "./loop-image.ts";

const { fill } = files;
let stack: AsyncDisposableStack;

beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

function newNode(): PoolNode {
  return poolNode(stack, parseClusterId(randomUUID()));
}

function loopsOf(node: PoolNode): readonly string[] {
  const loops = run("losetup", "-n", "-O", "NAME,DIO", "-j", imageOf(node)).trim();
  return loops === "" ? [] : loops.split("\n");
}

describe("a pool in a file", () => {
  test("is made once, sparse, on one direct loop device, mounted for the agent alone", async () => {
    const node = newNode();

    const backend = await openPool(node);

    expect(loopsOf(node)).toEqual([expect.stringMatching(/ 1$/)]);
    expect(Number(run("stat", "-c", "%b", imageOf(node))) * 512).toBeLessThan(poolBytes / 10);
    const [propagation] = run("findmnt", "-no", "PROPAGATION", mountOf(node)).split("\n");
    expect(propagation).toBe("private");
    expect((await openPool(node)).poolId).toBe(backend.poolId);
    expect(loopsOf(node).length).toBe(1);
  });

  test("is attached again after a reboot, on one loop device, also by a call", async () => {
    await using bench = await btrfsBench();
    const { datasetId, at, identity } = await newLive(bench);
    detachPool(bench.here);
    const again = await openPool(bench.here);
    expect(await again.look(datasetId, call())).toEqual([{ kind: "live", identity }]);
    detachPool(bench.here);

    await Promise.all([again.look(datasetId, call()), again.list(call()), again.usage(call())]);

    expect(loopsOf(bench.here).length).toBe(1);
    expect(await files.read(at, "file")).toBe("content");
  });

  test("is POOL_MISSING when its file is gone at a start, and no other is made", async () => {
    const node = newNode();
    await openPool(node);
    detachPool(node);
    renameSync(imageOf(node), `${imageOf(node)}.away`);

    const backend = await openPool(node);

    await expect(backend.list(call())).rejects.toMatchObject({ code: "POOL_MISSING" });
    expect(existsSync(imageOf(node))).toBe(false);
    expect(loopsOf(node)).toEqual([]);
    renameSync(`${imageOf(node)}.away`, imageOf(node));
    expect(await backend.list(call())).toEqual([]);
  });

  test("of another id in its place is POOL_MISSING and stays unmounted", async () => {
    const node = newNode();
    await openPool(node);
    detachPool(node);
    renameSync(imageOf(node), `${imageOf(node)}.away`);
    const other = newNode();
    await openPool(other);
    detachPool(other);
    run("cp", "--sparse=always", imageOf(other), imageOf(node));

    const backend = await openPool(node);

    await expect(backend.list(call())).rejects.toMatchObject({ code: "POOL_MISSING" });
    expect(succeeds("mountpoint", "-q", mountOf(node))).toBe(false);
  });

  test("that an agent left, whose notes are lost, is adopted; another cluster's is refused", async () => {
    const node = newNode();
    const { poolId } = await openPool(node);
    rmSync(node.context.dataDir, { recursive: true });
    expect((await openPool(node)).poolId).toBe(poolId);
    rmSync(node.context.dataDir, { recursive: true });
    detachPool(node);
    const stranger = newNode();

    await expect(
      openPool(stranger, { pool_path: imageOf(node), pool_size: poolBytes }),
    ).rejects.toThrow("is the pool of another cluster.");

    succeeds("losetup", "-d", loopsOf(node)[0]?.split(" ")[0] ?? "");
  });

  test("whose note is damaged is told how it is found again, and is not made anew", async () => {
    const node = newNode();
    const { poolId } = await openPool(node);
    const note = join(node.context.dataDir, "pools/default.json");
    writeFileSync(note, "{");

    await expect(openPool(node)).rejects.toMatchObject({
      code: "BACKEND_UNAVAILABLE",
      message: expect.stringContaining(`remove it once the pool on ${imageOf(node)} is there`),
    });

    rmSync(note);
    expect((await openPool(node)).poolId).toBe(poolId);
  });

  test("whose making was killed is made anew", async () => {
    const node = newNode();
    writeFileSync(`${imageOf(node)}.new`, "half a file system");

    await openPool(node);

    expect(existsSync(`${imageOf(node)}.new`)).toBe(false);
  });
});

describe("a pool that is given", () => {
  test("as an empty device, or a directory of a btrfs, is laid out once and found again", async () => {
    const node = newNode();
    const image = await loopImage(stack, scratch(stack), { sizeBytes: poolBytes });
    stack.defer(() => detachPool(node));
    const device = { device: image.device.path };
    const { poolId } = await openPool(node, device);
    detachPool(node);
    expect((await openPool(node, device)).poolId).toBe(poolId);

    const inside = newNode();
    stack.defer(() => detachPool(inside));
    const directory = join(mountOf(node), "given");
    run("mkdir", directory);
    const given = await openPool(inside, { directory });
    expect(given.poolId).not.toBe(poolId);
    expect((await openPool(inside, { directory })).poolId).toBe(given.poolId);
    expect((await given.usage(call())).freeBytes).toBeGreaterThan(0);
  });

  test("and holds anything else stays as it is", async () => {
    const node = newNode();
    const { device } = await loopImage(stack, scratch(stack), { sizeBytes: poolBytes });
    run("mkfs.ext4", "-q", device.path);
    const before = run("sha256sum", device.path);
    await expect(openPool(node, { device: device.path })).rejects.toThrow(
      "is neither empty nor a pool of this cluster",
    );
    await expect(openPool(node, { directory: scratch(stack) })).rejects.toThrow("is on no btrfs.");
    await expect(openPool(node, { directory: "/tmp", device: "/dev/x" })).rejects.toThrow(
      "exclude each other",
    );

    run("blockdev", "--flushbufs", device.path);
    expect(run("sha256sum", device.path)).toBe(before);
  });
});

test("a machine without the tools is told in one sentence what is missing", () => {
  const args = ["src/main/flocker.ts", "driver", "test", "btrfs"];

  expect(() => run("env", "PATH=/nonexistent", process.execPath, ...args)).toThrow(
    "needs the program btrfs, which is not installed (package btrfs-progs).",
  );
});

describe("a full volume", () => {
  test("says EDQUOT or ENOSPC, can be emptied and stamped, and keeps its limit after a move", async () => {
    await using bench = await btrfsBench();
    const { datasetId, identity, sizeBytes, at } = await newLive(bench);
    const other = await newLive(bench);
    expect(await fill(at, 2 * sizeBytes)).toBeLessThanOrEqual(sizeBytes);
    const more = join(bench.backend.livePath(datasetId), "data/more");
    expect(() => run("dd", "if=/dev/zero", `of=${more}`, "bs=1M", "count=4", "conv=fsync")).toThrow(
      /Disk quota exceeded|No space left/,
    );
    await files.write(other.at, "file", "goes on");

    for (const generation of [1, 2, 3]) {
      await bench.backend.stamp({ ...identity, generation }, bench.call);
    }
    expect(await fill(at, mebi * 8)).toBeLessThan(mebi);
    const move = bench.newOp();
    await moveOver(bench, { datasetId, move });
    await bench.otherBackend.promote({ datasetId, move, sizeBytes }, bench.call);
    await bench.otherBackend.stamp({ ...identity, generation: 4 }, bench.call);

    const there = { backend: bench.otherBackend, datasetId };
    expect(await fill(there, mebi * 8)).toBeLessThan(mebi);
    rmSync(join(bench.otherBackend.livePath(datasetId), "data/filled"));
    await bench.otherBackend.sync(datasetId, bench.call);
    await files.write(there, "file", "room again");
  });
});

describe("a full pool", () => {
  test("lets what is in it be sealed, moved away and opened again", async () => {
    await using bench = await btrfsBench();
    const { backend } = bench;
    const { datasetId, sizeBytes, at } = await newLive(bench, "kept");
    const filler = newIdentity(bench);
    const other = { datasetId: filler.datasetId, identity: filler, sizeBytes: 2 * poolBytes };
    await backend.create(other, bench.call);
    const full = { backend, datasetId: filler.datasetId };
    await fill(full, poolBytes);
    // What is left for the tails of files.
    const script = 'for n in $(seq 4000); do head -c 3000 /dev/zero > "$1/$n" || exit 0; done';
    run("sh", "-c", `(${script}) 2>/dev/null; sync -f "$1"`, "sh", dataOf(full, ""));
    expect((await backend.usage(bench.call)).freeBytes).toBe(0);

    const move = bench.newOp();
    await moveOver(bench, { datasetId, move });
    expect(await kinds(at, bench.call)).toEqual(["sealed"]);
    expect(await backend.changedSinceSeal(datasetId, bench.call)).toBe(false);
    await backend.reopen({ datasetId, sizeBytes }, bench.call);
    expect(await files.read(at, "file")).toBe("kept");
  });
});

describe("a volume with subvolumes of its own", () => {
  test("is neither sent nor sealed, as they would be lost, and can be destroyed", async () => {
    await using bench = await btrfsBench();
    const { datasetId, at } = await newLive(bench);
    run("btrfs", "subvolume", "create", join(bench.backend.livePath(datasetId), "data/nested"));

    await expect(
      bench.backend.seal({ datasetId, move: bench.newOp() }, bench.call),
    ).rejects.toThrow("data/nested");
    const bulk = { datasetId, move: bench.newOp(), stage: "base", onBase: false } as const;
    await expect(bench.backend.streamBytes(bulk, bench.call)).rejects.toThrow("data/nested");

    expect(await kinds(at, bench.call)).toEqual(["live"]);
    await bench.backend.destroy(datasetId, bench.call);
    expect(await kinds(at, bench.call)).toEqual([]);
  });
});

describe("subvolumes inside of a volume", () => {
  test("come with it when it is rescued, and stay when it was made read-only by hand", async () => {
    await using bench = await btrfsBench();
    const { backend } = bench;
    const { datasetId, identity, sizeBytes, at } = await newLive(bench);
    for (const name of ["one", "one/inner"]) {
      run("btrfs", "subvolume", "create", dataOf(at, name));
      writeFileSync(dataOf(at, `${name}/file`), name);
    }
    run("btrfs", "property", "set", "-ts", realpathSync(backend.livePath(datasetId)), "ro", "true");
    const stamped = { ...identity, generation: 1 };
    await expect(backend.stamp(stamped, bench.call)).rejects.toThrow("data/one");
    expect(await files.read(at, "one/file")).toBe("one");

    await backend.diverge(datasetId, null, bench.call);
    const to = newIdentity(bench);
    const rescued = { datasetId: to.datasetId, sizeBytes, identity: to };
    await backend.rescue(datasetId, rescued, bench.call);
    const there = { backend, datasetId: to.datasetId };
    expect(await files.read(there, "one/inner/file")).toBe("one/inner");
    await files.write(there, "one/file", "used");
  });
});

describe("a base", () => {
  test("that was changed is not received on, and not sent from", async () => {
    await using bench = await btrfsBench();
    const { datasetId } = await newLive(bench);
    const { backend, otherBackend } = bench;
    const move = bench.newOp();
    const stage = { datasetId, move, stage: "base", onBase: false } as const;
    const pipe = new PassThrough();
    await Promise.all([
      backend.send(stage, pipe, bench.call),
      otherBackend.receive({ ...stage, reserveBytes: 0 }, pipe, bench.call),
    ]);
    await otherBackend.accept(stage, bench.call);
    await backend.seal({ datasetId, move }, bench.call);
    tamper(join(mountOf(bench.there), "copies", datasetId, `${move}.base`, "volume"));
    tamper(join(mountOf(bench.here), "sent", datasetId, `${move}.base`, "volume"));

    const delta = { datasetId, move, stage: "delta", onBase: true } as const;
    await expect(
      otherBackend.receive({ ...delta, reserveBytes: 0 }, new PassThrough(), bench.call),
    ).rejects.toMatchObject({ code: "VOLUME_NOT_FOUND" });
    await expect(backend.send(delta, new PassThrough(), bench.call)).rejects.toMatchObject({
      code: "VOLUME_NOT_FOUND",
    });
  });

  test("that came a second time is what the rest builds on, not its first torn coming", async () => {
    await using bench = await btrfsBench();
    const delta = await comesTwice(bench, () => {});
    await bench.otherBackend.accept(delta, bench.call);

    const copies = join(mountOf(bench.there), "copies", delta.datasetId);
    const parent = shown(join(copies, `${delta.move}.delta`, "volume"), "Parent UUID");
    expect(parent).toBe(shown(join(copies, `${delta.move}.base`, "volume"), "UUID"));
  });

  test("whose twin a stream was built on instead is not accepted", async () => {
    await using bench = await btrfsBench();
    const pool = mountOf(bench.there);
    const delta = await comesTwice(bench, ({ datasetId, move }) => {
      renameSync(join(pool, "receiving", datasetId, `${move}.base`), join(pool, "twin"));
    });

    await expect(bench.otherBackend.accept(delta, bench.call)).rejects.toMatchObject({
      code: "VOLUME_NOT_FOUND",
    });
  });
});

describe("a pool that is balanced", () => {
  test("sends a base anew and a delta whole, and is sealed anew, as its snapshots were touched", async () => {
    await using bench = await btrfsBench();
    const { backend, otherBackend } = bench;
    const { datasetId, sizeBytes } = await newLive(bench, "balanced");
    const move = bench.newOp();
    const over = { from: backend, to: otherBackend, call: bench.call };
    const base = { datasetId, move, stage: "base", onBase: false } as const;
    const delta = { datasetId, move, stage: "delta", onBase: true } as const;
    const balance = (): string =>
      run("btrfs", "balance", "start", "--full-balance", mountOf(bench.here));
    await transfer(over, base);
    balance();
    await transfer(over, base);
    await otherBackend.accept(base, bench.call);
    balance();
    await backend.seal({ datasetId, move }, bench.call);
    await expect(backend.streamBytes(delta, bench.call)).rejects.toMatchObject({
      code: "VOLUME_NOT_FOUND",
    });
    balance();

    expect(await backend.changedSinceSeal(datasetId, bench.call)).toBe(true);
    await backend.seal({ datasetId, move }, bench.call);
    expect(await backend.changedSinceSeal(datasetId, bench.call)).toBe(false);
    await transfer(over, { ...delta, onBase: false });
    await otherBackend.accept(delta, bench.call);
    await otherBackend.promote({ datasetId, move, sizeBytes }, bench.call);
    expect(await files.read({ backend: otherBackend, datasetId }, "file")).toBe("balanced");
  });
});

/** A base comes twice and is accepted; then the rest, which is not accepted yet. */
async function comesTwice(
  bench: Awaited<ReturnType<typeof btrfsBench>>,
  meanwhile: (base: StreamOf) => void,
): Promise<StreamOf> {
  const { backend, otherBackend } = bench;
  const { datasetId } = await newLive(bench);
  const move = bench.newOp();
  const base: StreamOf = { datasetId, move, stage: "base" };
  const between = { from: backend, to: otherBackend, call: bench.call };
  await transfer(between, { ...base, onBase: false });
  meanwhile(base);
  await transfer(between, { ...base, onBase: false });
  await otherBackend.accept(base, bench.call);
  await backend.seal({ datasetId, move }, bench.call);
  const delta: StreamOf = { datasetId, move, stage: "delta" };
  await transfer(between, { ...delta, onBase: true });
  return delta;
}

/** A line of what btrfs says of a subvolume. */
function shown(subvolume: string, what: string): string | undefined {
  const lines = run("btrfs", "subvolume", "show", subvolume).split("\n");
  return lines.find((line) => line.trim().startsWith(`${what}:`))?.split(/:\s*/)[1];
}

/** Made writable, changed, made read-only again. */
function tamper(subvolume: string): void {
  const flag = ["property", "set", "-f", "-ts", subvolume, "ro"];
  run("btrfs", ...flag, "false");
  writeFileSync(join(subvolume, "data/file"), "tampered");
  run("btrfs", ...flag, "true");
}

describe("after a power cut", () => {
  test("what was created, stamped, synced, sealed, accepted and promoted is whole", async () => {
    await using bench = await btrfsBench();
    const live = await newLive(bench);
    await bench.backend.stamp({ ...live.identity, generation: 3 }, bench.call);
    writeFileSync(dataOf(live.at, "bulk"), Buffer.alloc((20 * mebi) / 2, "b"));
    await bench.backend.sync(live.datasetId, bench.call);
    const atSync = await cut(bench.here);
    const moved = await newReceived(bench, "m".repeat(4 * mebi));
    const atAccept = await cut(bench.there);
    const atSeal = await cut(bench.here);
    const { datasetId, move, sizeBytes } = moved;
    await bench.otherBackend.promote({ datasetId, move, sizeBytes }, bench.call);
    const atPromote = await cut(bench.there);

    await restart(bench.here, atSync);
    expect(await bench.backend.look(live.datasetId, bench.call)).toEqual([
      { kind: "live", identity: { ...live.identity, generation: 3 } },
    ]);
    expect((await files.read(live.at, "bulk"))?.length).toBe(10 * mebi);
    await restart(bench.here, atSeal);
    expect(await kinds(moved.at, bench.call)).toEqual(["sealed"]);
    expect(await bench.backend.changedSinceSeal(datasetId, bench.call)).toBe(false);
    await restart(bench.there, atPromote);
    expect(await kinds(moved.there, bench.call)).toEqual(["live", "received"]);
    expect(await files.read(moved.there, "file")).toBe("m".repeat(4 * mebi));
    await restart(bench.there, atAccept);
    expect(await kinds(moved.there, bench.call)).toEqual(["received"]);
    await bench.otherBackend.promote({ datasetId, move, sizeBytes }, bench.call);
    expect(await files.read(moved.there, "file")).toBe("m".repeat(4 * mebi));
  });
});

function dataOf({ backend, datasetId }: Place, name: string): string {
  return join(backend.livePath(datasetId), "data", name);
}

/** What the disk has at this instant: direct I/O leaves nothing of it in a cache of ours. */
async function cut(node: PoolNode): Promise<string> {
  const copy = `${imageOf(node)}.${randomUUID()}`;
  run("cp", "--sparse=always", imageOf(node), copy);
  return copy;
}

/** The node comes up with a disk as `cut` found it. */
async function restart(node: PoolNode, disk: string): Promise<void> {
  detachPool(node);
  run("cp", "--sparse=always", disk, imageOf(node));
}
