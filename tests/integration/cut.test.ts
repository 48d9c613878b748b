import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Device, Identity } from "../../src/domain/volume.ts";
import type { LinuxHost } from "../../src/host/linux-host.ts";
import { linuxHost, newIdentity } from "./linux-host.ts";
import { call, loopImage, mebi, run, scratch, succeeds } from "./loop-image.ts";

let stack: AsyncDisposableStack;
let directory: string;
let host: LinuxHost;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  directory = scratch(stack);
  host = await linuxHost(stack, directory);
});

afterEach(() => stack.disposeAsync());

/** A process that has a file of the volume open, and writes a line for each that it is given. */
async function writer(path: string): Promise<ChildProcess> {
  const script = 'exec 3>"$1"; echo open; while read -r line; do echo "$line" >&3; done';
  const child = spawn("sh", ["-c", script, "sh", path], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "close");
  stack.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await once(child.stdout, "data");
  return child;
}

describe.each(["ext4", "xfs"] as const)("the cut of a volume with %s", (fileSystem) => {
  let identity: Identity;
  let device: Device;
  let shown: string;

  beforeEach(async () => {
    identity = newIdentity();
    const sizeBytes = fileSystem === "xfs" ? 320 * mebi : 64 * mebi;
    ({ device } = await loopImage(stack, directory, { sizeBytes }));
    stack.defer(async () => {
      await host.hide(identity.datasetId, call());
      await host.unmountVolume(identity.datasetId, call());
    });
    await host.format(device, identity, fileSystem, call());
    await host.mountVolume(device, { ...identity, generation: 1 }, fileSystem, call());
    await host.show(identity.datasetId, call());
    shown = join(directory, "flocker", identity.datasetId);
  });

  const sectorsWritten = (): number => {
    const stat = readFileSync(`/sys/class/block/${device.path.slice(5)}/stat`, "utf8");
    return Number(stat.trim().split(/\s+/)[6]);
  };

  test("kills who has it", async () => {
    const child = await writer(join(shown, "file"));
    const ended = once(child, "close");

    await host.cut(identity.datasetId, call());

    await ended;
    expect(child.signalCode).toBe("SIGKILL");
    expect(await host.mounts(identity.datasetId)).toMatchObject({ volume: false, shown: false });
    expect(await host.holders(identity.datasetId, null, call())).toEqual([]);
  });

  test("reaches what an open file alone is left of after umount -l", async () => {
    const child = await writer(join(shown, "file"));
    const ended = once(child, "close");
    run("dd", "if=/dev/zero", `of=${shown}/dirty`, "bs=1M", "count=20", "status=none");
    run("umount", "-l", shown);
    run("umount", "-l", join(directory, "run/vol", identity.datasetId));
    expect(await host.holders(identity.datasetId, null, call())).toHaveLength(1);
    const before = sectorsWritten();

    await host.cut(identity.datasetId, call());

    await ended;
    expect(child.signalCode).toBe("SIGKILL");
    // The kernel may have begun to write back by itself; an unmount would have written it all.
    expect(sectorsWritten() - before).toBeLessThan((20 * mebi) / 512);
  });

  test("leaves who merely runs beside it", async () => {
    const child = await writer(join(directory, "elsewhere"));

    await host.cut(identity.datasetId, call());

    expect(child.exitCode).toBeNull();
    expect(child.signalCode).toBeNull();
  });

  test("waits for no lock of the dataset", async () => {
    const lockFile = join(directory, "lock");
    const script = 'exec 9>"$1"; flock 9; echo locked; read -r line || true';
    const child = spawn("sh", ["-c", script, "sh", lockFile], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    const ended = once(child, "close");
    stack.defer(async () => {
      child.stdin.end();
      await ended;
    });
    await once(child.stdout, "data");
    expect(succeeds("flock", "--nonblock", lockFile, "true")).toBe(false);

    await host.cut(identity.datasetId, call(lockFile));

    expect(await host.mounts(identity.datasetId)).toMatchObject({ volume: false, shown: false });
    expect(succeeds("flock", "--nonblock", lockFile, "true")).toBe(false);
  });
});
