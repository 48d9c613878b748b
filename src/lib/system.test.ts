import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeDirectory, readMachineId, systemReason } from "./system.ts";

test("a directory is made with those above it, and one that is there stays", async () => {
  const root = await mkdtemp(join(tmpdir(), "flocker-directory-"));
  const path = join(root, "a/b/c");
  await makeDirectory(path, 0o700);
  await makeDirectory(path, 0o755);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  await rm(root, { recursive: true });
});

test("a file in its place or above it is an error", async () => {
  const root = await mkdtemp(join(tmpdir(), "flocker-directory-"));
  await writeFile(join(root, "file"), "");
  await expect(makeDirectory(join(root, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeDirectory(join(root, "file/a"))).rejects.toMatchObject({ code: "ENOTDIR" });
  await rm(root, { recursive: true });
});

test("where the kernel makes no directories it is an error at once", async () => {
  await expect(makeDirectory("/proc/flocker")).rejects.toMatchObject({ code: "ENOENT" });
  await expect(makeDirectory("/proc/flocker/below")).rejects.toMatchObject({ code: "ENOENT" });
});

const failure = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => systemReason(error),
  );
const listening = (host: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen({ host, port: 0 }, () => server.close(() => resolve()));
  });

test("a reason is in words, without codes and calls", async () => {
  expect(await failure(readFile("/nowhere/x"))).toBe("no such file or directory");
  expect(await failure(listening("192.0.2.1"))).toBe("address not available");
  expect(await failure(listening("name.invalid"))).toBe("no address of that name is known");
  expect(await failure(Promise.reject(new Error("as it is")))).toBe("as it is");
});

test("a machine without an id of its own is told how to get one", async () => {
  const root = await mkdtemp(join(tmpdir(), "flocker-machine-"));
  const path = join(root, "machine-id");
  await expect(readMachineId(path)).rejects.toThrow("systemd-machine-id-setup");
  await writeFile(path, "\n");
  await expect(readMachineId(path)).rejects.toThrow("systemd-machine-id-setup");
  await writeFile(path, "8f0c\n");
  expect(await readMachineId(path)).toBe("8f0c");
  await rm(root, { recursive: true });
});
