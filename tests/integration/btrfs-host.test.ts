import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { directoryProbe as files } from "../../src/backends/conformance/directory-probe.ts";
import { type Made, newLive } from "../../src/backends/conformance/local-bench.ts";
import type { LinuxHost } from "../../src/host/linux-host.ts";
import { btrfsBench } from "./btrfs-bench.ts";
import { linuxHost } from "./linux-host.ts";
import { call, run, scratch, succeeds } from "./loop-image.ts";
import { otherNamespace } from "./other-namespace.ts";

let stack: AsyncDisposableStack;
let bench: Awaited<ReturnType<typeof btrfsBench>>;
let host: LinuxHost;
let root: string;
let made: Made;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  bench = stack.use(await btrfsBench());
  root = scratch(stack);
  host = await linuxHost(stack, root);
  made = await newLive(bench);
  stack.defer(async () => {
    await host.hide(made.datasetId, call());
    await host.unmountVolume(made.datasetId, call());
  });
});

afterEach(() => stack.disposeAsync());

function path(): string {
  return bench.backend.livePath(made.datasetId);
}

/** A process that holds what its script says, until the test is over. */
async function holding(script: string, ...args: readonly string[]): Promise<ChildProcess> {
  const text = `${script}; echo ready; read -r line`;
  const child = spawn("sh", ["-euc", text, "sh", ...args], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "close");
  stack.defer(async () => {
    child.stdin.end();
    await ended;
  });
  await once(child.stdout, "data");
  return child;
}

/** Opens the file of its argument in a thread of its own. */
const perl = (before: string, after: string): string =>
  `exec perl -Mthreads -e 'async { ${before} open F, ">>", $ARGV[0]; syswrite STDOUT, "ready"; ` +
  `sleep 600 }; ${after}' "$1"`;

/** A program that says by itself that it is ready; it is killed when the test is over. */
async function program(script: string, ...args: readonly string[]): Promise<number | undefined> {
  const child = spawn("sh", ["-euc", script, "sh", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  stack.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await once(child.stdout, "data");
  return child.pid;
}

async function pids(): Promise<readonly (number | null)[]> {
  return (await host.holdersAt(made.datasetId, path(), call())).map(({ pid }) => pid);
}

describe("a volume of a node's own pool on this machine", () => {
  test("is bound, shown, hidden and unbound; twice is once, and its own two mounts hold nothing", async () => {
    const { datasetId } = made;
    for (const _ of ["once", "twice"]) {
      await host.bindVolume(datasetId, path(), call());
      await host.show(datasetId, call());
    }

    expect(await host.mounts(datasetId)).toMatchObject({ volume: true, shown: true });
    expect(run("cat", join(root, "flocker", datasetId, "file"))).toBe("content");
    expect(run("ls", "-A", join(root, "flocker", datasetId)).trim()).toBe("file");
    expect(await pids()).toEqual([]);
    await host.hide(datasetId, call());
    await host.unmountVolume(datasetId, call());
    expect(await host.mounts(datasetId)).toMatchObject({ volume: false, shown: false });
  });

  test("is not bound where another one of the same pool is", async () => {
    const other = await newLive(bench);
    await host.bindVolume(made.datasetId, bench.backend.livePath(other.datasetId), call());

    await expect(host.bindVolume(made.datasetId, path(), call())).rejects.toMatchObject({
      code: "VOLUME_BUSY",
    });
  });

  test("is held by whom an open file alone is left after umount -l, named with its pid", async () => {
    const elsewhere = join(root, "elsewhere");
    run("mkdir", elsewhere);
    run("mount", "--bind", join(path(), "data"), elsewhere);
    stack.defer(() => void succeeds("umount", "-l", elsewhere));
    expect(await pids()).toEqual([null]);
    const writer = await holding('exec 3> "$1/late"', elsewhere);
    run("umount", "-l", elsewhere);
    const listed = 'cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -F -- "$1" || true';
    expect(run("sh", "-c", listed, "sh", elsewhere)).toBe("");

    const [holder] = await host.holdersAt(made.datasetId, path(), call());

    expect(holder).toEqual({ pid: writer.pid, command: "sh", container: null });
  });

  test("is held by a working directory, a mapping and a mount of another namespace", async () => {
    const data = join(path(), "data");
    writeFileSync(join(data, "program"), run("cat", "/bin/cat"), "latin1");
    run("cp", "/bin/sleep", join(data, "sleep"));
    const inside = await holding('cd "$1"', data);
    const mapped = spawn(join(data, "sleep"), ["600"], { stdio: "ignore" });
    const ended = once(mapped, "close");
    stack.defer(async () => {
      mapped.kill("SIGKILL");
      await ended;
    });
    await once(mapped, "spawn");
    const target = join(root, "there");
    run("mkdir", target);
    await using other = await otherNamespace(data, target);

    const found = await pids();

    expect(found).toEqual(expect.arrayContaining([inside.pid, mapped.pid, other.pid]));
  });

  test("is held by a process whose first thread has ended, and by a thread's own files", async () => {
    const file = join(path(), "data/file");
    // Numbers of exit(2) and unshare(2), the latter with CLONE_FILES.
    const [exit, unshare] = process.arch === "arm64" ? [93, 97] : [60, 272];
    const first = await program(perl("", `syscall(${exit}, 0)`), file);
    const own = await program(perl(`syscall(${unshare}, 0x400);`, "sleep 600"), file);

    expect(await pids()).toEqual(expect.arrayContaining([first, own]));
  });

  test("is held by a loop device of a file in it, which no process has open", async () => {
    const data = join(path(), "data");
    run("truncate", "-s", "8M", join(data, "disk"));
    const script = 'mount --bind "$1" "$2"; losetup --find --show "$2/disk"';
    const loop = run("unshare", "-m", "sh", "-euc", script, "sh", data, scratch(stack)).trim();
    stack.defer(() => void succeeds("losetup", "-d", loop));

    expect(await host.holdersAt(made.datasetId, path(), call())).toEqual([
      { pid: null, command: `loop device ${loop}`, container: null },
    ]);
  });

  test("is not held by who uses another volume of the same pool", async () => {
    const other = await newLive(bench);
    await holding('exec 3> "$1/file"', join(bench.backend.livePath(other.datasetId), "data"));

    expect(await pids()).toEqual([]);
  });

  test("is stopped: who has it is killed, nothing is shown, and what was written stays", async () => {
    const { datasetId } = made;
    await host.bindVolume(datasetId, path(), call());
    await host.show(datasetId, call());
    const writer = await holding(
      'exec 3> "$1/late"; echo late >&3',
      join(root, "flocker", datasetId),
    );
    const ended = once(writer, "close");

    await host.stop(datasetId, path(), call());

    await ended;
    expect(writer.signalCode).toBe("SIGKILL");
    expect(await host.mounts(datasetId)).toMatchObject({ volume: false, shown: false });
    expect(await files.read(made.at, "late")).toBe("late\n");
    await expect.poll(pids, { timeout: 10_000 }).toEqual([]);
  });
});
