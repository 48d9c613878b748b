import type { Call } from "../backends/attachable.ts";
import type { Content } from "../agent/core/host.ts";
import type { FileSystem } from "../domain/record.ts";
import type { Device, Identity } from "../domain/volume.ts";
import { FlockerError } from "../lib/errors.ts";
import { childOptions, type HostPaths, sameDevice, shellArgs } from "./host-paths.ts";
import { execOnDevice, pinned } from "./pinned-device.ts";
import { type Block, decodeBlock } from "../backends/identity-block.ts";

type Expected = Pick<Identity, "clusterId" | "datasetId" | "lineage">;

/** Even a read-only mount replays the journal, that is writes, unless told not to. */
const withoutWriting: Readonly<Record<FileSystem, string>> = {
  ext4: "ro,noload",
  xfs: "ro,norecovery",
};

/**
 * Runs in a mount namespace of its own: nobody else sees the mount, and none is left behind when
 * anything is killed.
 */
const lookScript = `
mount -c -t "$1" -o "$2" -- "$3" "$4" || exit 91
cd "$4"
find data -mindepth 1 -print -quit 2>/dev/null | grep -q . && echo used || echo unused
if [ -f identity ]; then echo present; base64 -w 0 identity; else echo absent; fi
cd /
umount "$4"
`;
const mountFailed = 91;

/** What is on a device that is not mounted here; see `Host.inspect`. */
export async function look(
  paths: HostPaths,
  device: Device,
  expected: Expected & { readonly fileSystem: FileSystem },
  call: Call,
): Promise<Content> {
  return (await lookClosely(paths, device, expected, call)).content;
}

/** The same with the identity's slots, for who is going to write the next one. */
export async function lookClosely(
  paths: HostPaths,
  device: Device,
  expected: Expected & { readonly fileSystem: FileSystem },
  call: Call,
): Promise<Look> {
  const { sizeBytes } = await sameDevice(device);
  const signature = await probe(device, call);
  if (signature === null) {
    return (await isBlank(device, sizeBytes, call))
      ? { content: { kind: "blank" }, block: null }
      : foreign("it has no file system, but is not empty either");
  }
  if (signature["TYPE"] !== expected.fileSystem) {
    const found = signature["TYPE"] ?? signature["PTTYPE"] ?? "something unknown";
    return foreign(`it bears ${found} where ${expected.fileSystem} was expected`);
  }
  if (signature["UUID"] !== expected.datasetId) {
    return foreign(`its file system is that of ${signature["UUID"] ?? "nobody"}`);
  }
  return readContent(paths, device, expected, call);
}

export type Look = { readonly content: Content; readonly block: Block | null };

function foreign(detail: string): Look {
  return { content: { kind: "foreign", detail }, block: null };
}

/** Signatures by blkid's low-level probe, which only reads; null when there are none. */
async function probe(device: Device, call: Call): Promise<Readonly<Record<string, string>> | null> {
  const nothingFound = 2;
  const ambivalent = 8;
  const command = ["blkid", "-p", "-o", "export", "--", pinned];
  const { status, stdout } = await execOnDevice(device, command, {
    ...childOptions(call),
    okStatuses: [nothingFound, ambivalent],
  });
  if (status === ambivalent) return { TYPE: "several signatures at once" };
  // The same status says that the device cannot be read; then reading zeros fails loudly.
  if (status === nothingFound) return null;
  return Object.fromEntries(
    stdout.split("\n").flatMap((line) => {
      const at = line.indexOf("=");
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
}

/** No signature is not blank (raw data, LUKS with its header elsewhere): the ends must be zeros. */
async function isBlank(device: Device, sizeBytes: number, call: Call): Promise<boolean> {
  const span = Math.min(2 ** 20, sizeBytes);
  if (span === 0) return false;
  for (const start of [0, sizeBytes - span]) {
    const ends = ["-i", `${start}:0`, "--", pinned, "/dev/zero"];
    const differs = 1;
    const options = { ...childOptions(call), okStatuses: [differs] };
    const command = ["cmp", "-s", "-n", String(span), ...ends];
    if ((await execOnDevice(device, command, options)).status === differs) return false;
  }
  return true;
}

async function readContent(
  paths: HostPaths,
  device: Device,
  expected: Expected & { readonly fileSystem: FileSystem },
  call: Call,
): Promise<Look> {
  const { fileSystem } = expected;
  const where = `${paths.runDir}/look`;
  const args = shellArgs(lookScript, [fileSystem, withoutWriting[fileSystem], pinned, where]);
  const alone = ["unshare", "--mount", "--propagation", "private", "env", "LC_ALL=C", "sh"];
  const { status, stdout, stderr } = await execOnDevice(device, [...alone, ...args], {
    ...childOptions(call),
    okStatuses: [mountFailed],
  });
  if (status === mountFailed) {
    if (/busy|already mounted/.test(stderr)) {
      throw new FlockerError("VOLUME_BUSY", `${device.path} is mounted by somebody`);
    }
    return foreign(`its file system cannot be mounted: ${stderr.trim().split("\n")[0] ?? ""}`);
  }
  const [used, present, block = ""] = stdout.split("\n");
  return verdict(used === "used", present === "present" ? block : null, expected);
}

function verdict(used: boolean, block: string | null, expected: Expected): Look {
  const decoded: Block =
    block === null ? { kind: "empty" } : decodeBlock(Buffer.from(block, "base64"));
  if (decoded.kind === "damaged") return foreign("its identity block is damaged");
  if (decoded.kind === "empty") {
    return used
      ? foreign("it holds files, but no identity")
      : { content: { kind: "unfinished" }, block: decoded };
  }
  const { identity } = decoded;
  if (identity.clusterId !== expected.clusterId) {
    return foreign(`it belongs to another cluster (${identity.clusterId})`);
  }
  if (identity.datasetId !== expected.datasetId) {
    return foreign(`it belongs to another dataset (${identity.datasetId})`);
  }
  const { lineage, generation } = identity;
  // Of a claim that was taken away before it was used.
  if (lineage !== expected.lineage && generation === 0 && !used) {
    return { content: { kind: "unfinished" }, block: decoded };
  }
  return { content: { kind: "ours", identity }, block: decoded };
}
