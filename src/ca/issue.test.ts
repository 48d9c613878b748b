import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exec } from "../lib/exec.ts";
import {
  createControlCredential,
  createNodeCredential,
  createUserCredential,
  initializeAuthority,
} from "./create-credential.ts";
import { clusterOf, commonName, peerIdentity } from "./identity.ts";

const nowMs = Date.UTC(2026, 10, 22, 12, 0, 0);
let directory: string;
let both: { input: string; output: string };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "flocker-ca-test-"));
  both = { input: directory, output: directory };
  await initializeAuthority(directory, "tést cluster, #1", nowMs);
});
afterAll(async () => rm(directory, { recursive: true, force: true }));

const certificateOf = async (path: string): Promise<X509Certificate> =>
  new X509Certificate(await readFile(path));

describe("an authority", () => {
  test("names the cluster and its UUID, signs itself and lasts 20 years of 365 days", async () => {
    const authority = await certificateOf(join(directory, "cluster.crt"));

    expect(commonName(authority)).toBe("tést cluster, #1");
    expect(clusterOf(authority)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/);
    expect(authority.ca).toBe(true);
    expect(authority.checkIssued(authority)).toBe(true);
    expect(Date.parse(authority.validFrom)).toBe(nowMs);
    expect(Date.parse(authority.validTo) - nowMs).toBe(630_720_000_000);
  });

  test("is never overwritten, and a second attempt leaves its files as they are", async () => {
    const before = await readFile(join(directory, "cluster.key"), "utf8");

    await expect(initializeAuthority(directory, "other", nowMs)).rejects.toThrow(
      `Unable to write certificate file. File exists ${directory}/cluster.crt`,
    );
    expect(await readFile(join(directory, "cluster.key"), "utf8")).toBe(before);
  });

  test("without its certificate, a key that is there is kept and no certificate is left", async () => {
    const other = await mkdtemp(join(directory, "half-"));
    await writeFile(join(other, "cluster.key"), "precious");

    await expect(initializeAuthority(other, "again", nowMs)).rejects.toThrow(
      `Unable to write private key file. File exists ${other}/cluster.key`,
    );
    expect(await readdir(other)).toEqual(["cluster.key"]);
  });
});

describe("every certificate", () => {
  test("is accepted by openssl, strictly, and carries the cluster's UUID", async () => {
    const created = [
      await createControlCredential(both, "control.example.com", nowMs),
      await createNodeCredential(both, nowMs),
      await createUserCredential(both, "alice", nowMs),
    ];
    const authority = await certificateOf(join(directory, "cluster.crt"));

    for (const { certificate, key } of created) {
      const args = ["verify", "-x509_strict", "-attime", String(nowMs / 1000 + 60)];
      const { stdout } = await exec(
        "openssl",
        [...args, "-CAfile", join(directory, "cluster.crt"), certificate],
        { deadlineMs: 10_000 },
      );
      expect(stdout).toBe(`${certificate}: OK\n`);
      const leaf = await certificateOf(certificate);
      expect(clusterOf(leaf)).toBe(clusterOf(authority));
      expect(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)).toBe(630_720_000_000);
      expect(leaf.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
      for (const path of [certificate, key]) expect((await stat(path)).mode & 0o777).toBe(0o600);
    }
  });

  test("serves its role alone: names, usages and identity", async () => {
    const control = await certificateOf(
      (await createControlCredential(both, "10.1.2.3", nowMs)).certificate,
    );
    const node = await createNodeCredential(both, nowMs);
    const user = await certificateOf(
      (await createUserCredential(both, "jürgen", nowMs)).certificate,
    );

    expect(control.subjectAltName).toBe("DNS:control-service, IP Address:10.1.2.3");
    expect(control.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(peerIdentity(control)).toEqual({ kind: "control" });
    const nodeCertificate = await certificateOf(node.certificate);
    expect(nodeCertificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    expect(peerIdentity(nodeCertificate)).toEqual({ kind: "node", nodeId: node.base });
    expect(user.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(peerIdentity(user)).toEqual({ kind: "user", name: "jürgen" });
  });
});

describe("bad input gets one clear sentence", () => {
  test.each([
    ["a/b", "it must fit into a file name"],
    ["..", "it must fit into a file name"],
    ["", "at least one character"],
    ["a\nb", "no control characters"],
    ["\uFFFD", "Invalid username: Could not be converted to UTF-8"],
    ["x".repeat(80), "over 64 characters"],
  ])("the username %j", async (name, message) => {
    await expect(createUserCredential(both, name, nowMs)).rejects.toThrow(message);
  });

  test.each(["", "a/b", "-a", "a b", "x".repeat(64), "a..b"])("the hostname %j", async (name) => {
    await expect(createControlCredential(both, name, nowMs)).rejects.toThrow("Invalid hostname");
  });

  test("no authority: the message says how to make one", async () => {
    const input = join(directory, "nowhere");
    await expect(createNodeCredential({ input, output: directory }, nowMs)).rejects.toThrow(
      "Unable to load certificate authority file. Please run `flocker-ca initialize` to generate " +
        `a new certificate authority. No such file or directory ${input}/cluster.crt`,
    );
  });

  test("an output directory that does not exist", async () => {
    const output = join(directory, "nowhere");
    const message = `Unable to write certificate file. No such file or directory ${output}/eve.crt`;
    await expect(createUserCredential({ input: directory, output }, "eve", nowMs)).rejects.toThrow(
      message,
    );
  });

  test("an authority whose two files do not belong together, or are no PEM", async () => {
    const input = await mkdtemp(join(directory, "mixed-"));
    const other = await mkdtemp(join(directory, "other-"));
    await initializeAuthority(other, "other", nowMs);
    await writeFile(join(input, "cluster.crt"), await readFile(join(directory, "cluster.crt")));
    await writeFile(join(input, "cluster.key"), await readFile(join(other, "cluster.key")));

    const directories = { input, output: directory };
    await expect(createNodeCredential(directories, nowMs)).rejects.toThrow("is not the key of");
    await writeFile(join(input, "cluster.key"), "garbage");
    await expect(createNodeCredential(directories, nowMs)).rejects.toThrow("in PEM form");
  });
});
