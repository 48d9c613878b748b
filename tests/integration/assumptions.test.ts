import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { exec } from "../../src/lib/exec.ts";
import { loopImage, mebi, run, scratch, succeeds } from "./loop-image.ts";
import { otherNamespace } from "./other-namespace.ts";

/**
 * What the safety of Flocker rests on and only a kernel can tell. If one of these fails
 * on a new kernel, the code that leans on it is wrong there, not the test.
 */
let stack: AsyncDisposableStack;
let directory: string;

beforeEach(() => {
  stack = new AsyncDisposableStack();
  directory = scratch(stack);
});

afterEach(() => stack.disposeAsync());

const patience = { timeout: 10_000 };
const sizes = { ext4: 64 * mebi, xfs: 320 * mebi } as const;
type FileSystem = keyof typeof sizes;

async function mounted(
  fileSystem: FileSystem,
  options = "rw",
): Promise<{ readonly device: string; readonly file: string; readonly where: string }> {
  const image = await loopImage(stack, directory, { sizeBytes: sizes[fileSystem] });
  run(`mkfs.${fileSystem}`, "-q", image.device.path);
  const where = mkdtempSync(join(directory, "mount-"));
  run("mount", "-t", fileSystem, "-o", options, image.device.path, where);
  stack.defer(() => void succeeds("umount", "-l", where));
  return { device: image.device.path, file: image.file, where };
}

/** Nobody else has a device exactly when it can be opened with O_EXCL. */
function opensExclusively(device: string): boolean {
  const script = "require('fs').openSync(process.argv[1], require('fs').constants.O_EXCL)";
  return succeeds(process.execPath, "-e", script, device);
}

function mountinfoOfAll(): string {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/mountinfo`, "utf8");
      } catch {
        return ""; // It has ended.
      }
    })
    .join("\n");
}

function sectorsWritten(device: string): number {
  const text = readFileSync(`/sys/class/block/${device.slice("/dev/".length)}/stat`, "utf8");
  return Number(text.trim().split(/\s+/)[6]);
}

describe("who holds a volume", () => {
  test("m3: an open file keeps a lazily unmounted volume; mountinfo shows none, O_EXCL does", async () => {
    const { device, where } = await mounted("ext4");
    const writer = spawn("sh", ["-c", 'exec 3> "$1/file"; echo open; read -r line', "sh", where]);
    const ended = once(writer, "close");
    await once(writer.stdout, "data");

    run("umount", "-l", where);

    expect(mountinfoOfAll()).not.toContain(`${device} `);
    expect(opensExclusively(device)).toBe(false);
    writer.stdin.end();
    await ended;
    await expect.poll(() => opensExclusively(device), patience).toBe(true);
  });

  test("m16: a private copy in another namespace pins the device after our unmount", async () => {
    const { device, where } = await mounted("ext4");
    const elsewhere = mkdtempSync(join(directory, "elsewhere-"));
    await using other = await otherNamespace(where, elsewhere);

    run("umount", where);

    expect(opensExclusively(device)).toBe(false);
    expect(readFileSync(`/proc/${other.pid}/mountinfo`, "utf8")).toContain(elsewhere);
    await other[Symbol.asyncDispose]();
    await expect.poll(() => opensExclusively(device), patience).toBe(true);
  });

  test("rmdir of a mount point takes the copies in other namespaces away", async () => {
    const { device, where } = await mounted("ext4");
    await using _other = await otherNamespace();
    run("umount", where);
    expect(opensExclusively(device)).toBe(false);

    run("rmdir", where);

    await expect.poll(() => opensExclusively(device), patience).toBe(true);
  });

  test("losetup -d of a device that is open succeeds, and the device stays until it is closed", async () => {
    const { device: loop, file } = await loopImage(stack, directory);
    const device = loop.path;
    const reader = spawn("sh", ["-c", 'exec 3< "$1"; echo open; read -r line', "sh", device]);
    const ended = once(reader, "close");
    await once(reader.stdout, "data");

    expect(succeeds("losetup", "-d", device)).toBe(true);

    expect(run("losetup", "-j", file)).toContain(device);
    reader.stdin.end();
    await ended;
    await expect.poll(() => run("losetup", "-j", file), patience).toBe("");
  });

  test("m19: a child keeps the lock of a parent that was killed, until it ends", async () => {
    const lockFile = join(directory, "lock");
    const script = `
      const { exec } = await import(process.argv[1]);
      console.log("started");
      await exec("sh", ["-c", "echo $$ > " + process.argv[2] + ".pid; exec sleep 60"], {
        deadlineMs: 60000,
        lockFile: process.argv[2],
      });
    `;
    const module = new URL("../../src/lib/exec.ts", import.meta.url).href;
    const args = ["--input-type=module", "-e", script, module, lockFile];
    const parent = spawn(process.execPath, args);
    const ended = once(parent, "close");
    const pid = (): string => {
      try {
        return readFileSync(`${lockFile}.pid`, "utf8").trim();
      } catch {
        return "";
      }
    };
    await expect.poll(pid, patience).not.toBe("");
    stack.defer(() => void succeeds("kill", "-9", pid()));

    parent.kill("SIGKILL");

    await expect(exec("true", [], { deadlineMs: 5000, lockFile })).rejects.toMatchObject({
      code: "BUSY_CHILD",
    });
    run("kill", "-9", pid());
    await ended;
    const free = async (): Promise<number> =>
      (await exec("true", [], { deadlineMs: 5000, lockFile })).status;
    await expect.poll(() => free().catch(() => -1), patience).toBe(0);
  });
});

describe("what a write reaches", () => {
  test.each(["ext4", "xfs"] as const)(
    "m8: unmounting %s cleanly flushes old pages; after a shutdown nothing of them is written",
    async (fileSystem) => {
      const flushed: number[] = [];
      for (const shutdown of [false, true]) {
        const { device, where } = await mounted(fileSystem);
        run("dd", "if=/dev/zero", `of=${where}/dirty`, "bs=1M", "count=24", "status=none");
        const before = sectorsWritten(device);
        if (shutdown) run("xfs_io", "-x", "-c", "shutdown", where);
        run("umount", where);
        flushed.push(sectorsWritten(device) - before);
        run("losetup", "-d", device);
      }

      expect(flushed[0]).toBeGreaterThan((24 * mebi) / 512 - 1);
      expect(flushed[1]).toBeLessThan(200);
    },
  );

  test.each([
    ["ext4", "ro", "noload"],
    ["xfs", "ro", "norecovery"],
  ] as const)(
    "m22: mounting a dirty %s with %s writes, with %s as well it does not",
    async (fileSystem, readOnly, option) => {
      const { file, where } = await mounted(fileSystem);
      writeFileSync(join(where, "file"), "x".repeat(100_000));
      run("sync", "-f", where);
      const [reference = "", ...copies] = ["dirty.img", "writes.img", "keeps.img"].map((name) =>
        join(directory, name),
      );
      for (const copy of [reference, ...copies]) run("cp", "--sparse=always", file, copy);
      run("umount", where);
      const look = mkdtempSync(join(directory, "look-"));

      const changed = copies.map((copy, index) => {
        const options = index === 0 ? readOnly : `${readOnly},${option}`;
        const device = run("losetup", "--find", "--show", copy).trim();
        run("mount", "-t", fileSystem, "-o", options, device, look);
        run("umount", look);
        run("losetup", "-d", device);
        run("sync", copy);
        return !succeeds("cmp", "-s", copy, reference);
      });

      expect(changed).toEqual([true, false]);
    },
  );

  test("m9: root writes into a directory of mode 000, and not into an immutable one", () => {
    const point = join(directory, "point");
    mkdirSync(point, { mode: 0 });
    expect(succeeds("touch", join(point, "written"))).toBe(true);
    run("rm", join(point, "written"));

    run("chattr", "+i", point);
    stack.defer(() => void succeeds("chattr", "-i", point));

    expect(succeeds("touch", join(point, "written"))).toBe(false);
    expect(succeeds("mkdir", join(point, "made"))).toBe(false);
    run("mount", "-t", "tmpfs", "none", point);
    expect(succeeds("touch", join(point, "written"))).toBe(true);
    run("umount", point);
    expect(readdirSync(point)).toEqual([]);
  });
});
