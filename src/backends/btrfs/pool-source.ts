import { randomUUID } from "node:crypto";
import type { ClusterId } from "../../domain/ids.ts";
import { FlockerError } from "../../lib/errors.ts";
import { exec, type ExecResult } from "../../lib/exec.ts";
import type { Call } from "../attachable.ts";

/** What a pool is kept on. */
export type PoolSource = {
  /** For people: the file, device or directory. */
  readonly text: string;
  /** The id of the pool that is there; a new one is made only where nothing is. */
  adoptOrMake(at: string, call: Call): Promise<string>;
  /** Mounts it at a directory; `POOL_MISSING` when it is not there. */
  mount(at: string, call: Call): Promise<void>;
  /** Bytes free where the pool's file lies; null when it lies in no file. */
  hostFreeBytes(call: Call): Promise<number | null>;
};

/** Keys of agent.yml that say what the pool is kept on; at most one of the first three. */
export type SourceOptions = {
  readonly pool_path?: string | undefined;
  readonly device?: string | undefined;
  readonly directory?: string | undefined;
  readonly pool_size?: number | undefined;
};

export const poolPathDefault = (pool: string): string => `/var/lib/flocker/pools/${pool}.img`;
const poolBytesMax = 100 * 2 ** 30;
/** Less makes a btrfs that runs out of room for its own trees. */
export const poolBytesMin = 256 * 2 ** 20;

export function sourceOf(
  options: SourceOptions,
  of: { readonly pool: string; readonly clusterId: ClusterId },
): PoolSource {
  const { pool_path: path, device, directory, pool_size: size } = options;
  if ([path, device, directory].filter((key) => key !== undefined).length > 1) {
    throw invalid("keys pool_path, device and directory exclude each other.");
  }
  if (size !== undefined && (device ?? directory) !== undefined) {
    throw invalid("key pool_size is for a pool in a file (pool_path).");
  }
  if (directory !== undefined) return directorySource(directory, of.clusterId);
  if (device !== undefined) return deviceSource(device, of.clusterId);
  return fileSource(path ?? poolPathDefault(of.pool), { ...of, sizeBytes: size ?? null });
}

type Of = { readonly clusterId: ClusterId; readonly sizeBytes: number | null };

function fileSource(file: string, { clusterId, sizeBytes }: Of): PoolSource {
  return {
    text: file,
    adoptOrMake: async (at, call) => {
      if (!(await exists(file, call))) {
        const size = String(sizeBytes ?? 0);
        const args = [file, size, String(poolBytesMax), String(poolBytesMin)];
        const tooSmall = 90;
        const { status } = await shell(makeFileScript, args, call, [tooSmall]);
        if (status === tooSmall) {
          throw new FlockerError(
            "BACKEND_UNAVAILABLE",
            `There is no room for a pool in ${file}: it needs ${poolBytesMin} bytes, and gets at ` +
              "most half of what is free.",
          );
        }
      }
      await mountFile(file, at, call);
      return layOut(file, at, clusterId, call);
    },
    mount: (at, call) => mountFile(file, at, call),
    hostFreeBytes: async (call) => {
      const args = ["-f", "-c", "%S %a", "--", file.replace(/\/[^/]*$/, "/")];
      const { stdout } = await exec("stat", args, childOptions(call));
      const [block, free] = stdout.trim().split(" ");
      return Number(block) * Number(free);
    },
  };
}

/** Under another name until it is whole: what stands under its own name was made once. */
const makeFileScript = `
file=$1 bytes=$2
mkdir -p -m 0700 "$(dirname "$file")"
if [ "$bytes" = 0 ]; then
  half=$(stat -f -c '%S %a' "$(dirname "$file")" | awk '{ printf "%.0f", $1 * $2 / 2 }')
  bytes=$(( half < $3 ? half : $3 ))
fi
[ "$bytes" -ge "$4" ] || exit 90
rm -f -- "$file.new"
truncate -s "$(( bytes / 4096 * 4096 ))" -- "$file.new"
chmod 0600 "$file.new"
mkfs.btrfs -q -K -L flocker -- "$file.new" >/dev/null 2>&1
sync -- "$file.new"
mv -T -- "$file.new" "$file"
sync -- "$(dirname "$file")"
`;

async function mountFile(file: string, at: string, call: Call): Promise<void> {
  const missing = 91;
  const several = 92;
  const { status } = await shell(mountFileScript, [file, at], call, [missing, several]);
  if (status === missing) throw poolMissing(file);
  if (status === several) {
    throw new FlockerError(
      "BACKEND_REJECTED",
      `${file} has several loop devices, whose caches know nothing of each other. Detach all but ` +
        "the mounted one (losetup -d).",
    );
  }
}

/**
 * A loop device of the file that is there is used, never a second one: losetup finds it by the
 * file's device and inode, which tell the files of hosts apart that have one kernel and one /dev.
 */
const mountFileScript = `
! mountpoint -q -- "$2" || exit 0
[ -f "$1" ] || exit 91
loops=$(losetup -n -O NAME -j "$1")
case $(printf '%s\\n' "$loops" | grep -c .) in
  0) loop=$(losetup --find --show --direct-io=on -- "$1" 2>/dev/null || losetup --find --show -- "$1") ;;
  1) loop=$loops ;;
  *) exit 92 ;;
esac
mkdir -p -m 0700 "$2"
mount -t btrfs -o noatime,subvolid=5 -- "$loop" "$2"
losetup -d "$loop" # It goes with its last mount.
`;

function deviceSource(device: string, clusterId: ClusterId): PoolSource {
  const mount = async (at: string, call: Call): Promise<void> => {
    const missing = 91;
    const { status } = await shell(mountDeviceScript, [device, at], call, [missing]);
    if (status === missing) throw poolMissing(device);
  };
  return {
    text: device,
    adoptOrMake: async (at, call) => {
      const [missing, foreign] = [91, 92];
      const args = [device];
      const { status } = await shell(makeDeviceScript, args, call, [missing, foreign]);
      if (status === missing) {
        throw new FlockerError("BACKEND_UNAVAILABLE", `There is no device ${device}.`);
      }
      if (status === foreign) {
        throw invalid(
          `device ${device} is neither empty nor a pool of this cluster; wipefs -a empties it.`,
        );
      }
      await mount(at, call);
      return layOut(device, at, clusterId, call);
    },
    mount,
    hostFreeBytes: async () => null,
  };
}

/** A file system is made only where both ends are zeros and no signature is found. */
const makeDeviceScript = `
[ -b "$1" ] || exit 91
type=$(blkid -p -o value -s TYPE -- "$1") || :
[ "$type" != btrfs ] || exit 0
[ -z "$(blkid -p -o export -- "$1")" ] || exit 92
bytes=$(blockdev --getsize64 "$1")
for start in 0 $(( bytes - 1048576 )); do
  cmp -s -n 1048576 -i "$start:0" -- "$1" /dev/zero || exit 92
done
mkfs.btrfs -q -L flocker -- "$1" >/dev/null 2>&1
`;

const mountDeviceScript = `
! mountpoint -q -- "$2" || exit 0
[ -b "$1" ] || exit 91
mkdir -p -m 0700 "$2"
mount -t btrfs -o noatime,subvolid=5 -- "$1" "$2"
`;

function directorySource(directory: string, clusterId: ClusterId): PoolSource {
  const mount = async (at: string, call: Call): Promise<void> => {
    const missing = 91;
    const { status } = await shell(bindScript, [directory, at], call, [missing]);
    if (status === missing) throw poolMissing(directory);
  };
  return {
    text: directory,
    adoptOrMake: async (at, call) => {
      const notBtrfs = 92;
      const { status } = await shell(isBtrfsScript, [directory], call, [notBtrfs]);
      if (status === notBtrfs) throw invalid(`directory ${directory} is on no btrfs.`);
      await mount(at, call);
      return layOut(directory, at, clusterId, call);
    },
    mount,
    hostFreeBytes: async () => null,
  };
}

const isBtrfsScript = `[ -d "$1" ] && [ "$(stat -f -c %T -- "$1")" = btrfs ] || exit 92`;

const bindScript = `
! mountpoint -q -- "$2" || exit 0
[ -d "$1" ] && [ "$(stat -f -c %T -- "$1")" = btrfs ] || exit 91
mkdir -p -m 0700 "$2"
mount --bind -- "$1" "$2"
mount -o remount,bind,noatime -- "$2"
`;

/** The pool's id from the file in it; written into an empty one, and into nothing else. */
async function layOut(
  source: string,
  at: string,
  clusterId: ClusterId,
  call: Call,
): Promise<string> {
  const [foreign, used] = [93, 94];
  const text = JSON.stringify({ layout: 1, poolId: randomUUID(), clusterId });
  const args = [at, text, `"clusterId":"${clusterId}"`];
  const { status, stdout } = await shell(layOutScript, args, call, [foreign, used]);
  const [, poolId] = /"poolId":"([0-9a-f-]{36})"/.exec(stdout) ?? [];
  if (status === 0 && poolId !== undefined) return poolId;
  throw invalid(
    status === used
      ? `${source} holds other files; give an empty directory or device.`
      : `${source} is the pool of another cluster.`,
  );
}

const layOutScript = `
cd "$1"
undo() { cd /; umount "$1"; exit "$2"; }
if [ ! -f pool.json ]; then
  [ -z "$(find . -mindepth 1 ! -name pool.json.new -print -quit)" ] || undo "$1" 94
  printf '%s\\n' "$2" > pool.json.new
  sync -f .
  mv -T pool.json.new pool.json
  sync -f .
fi
grep -qF -- "$3" pool.json || undo "$1" 93
cat pool.json
`;

async function exists(path: string, call: Call): Promise<boolean> {
  return (await shell('[ -e "$1" ]', [path], call, [1])).status === 0;
}

function shell(
  script: string,
  args: readonly string[],
  call: Call,
  okStatuses: readonly number[],
): Promise<ExecResult> {
  return exec("sh", ["-euc", script, "btrfs-pool", ...args], { ...childOptions(call), okStatuses });
}

function childOptions({ signal, deadlineMs }: Call): { signal: AbortSignal; deadlineMs: number } {
  return { signal, deadlineMs };
}

export function poolMissing(source: string): FlockerError {
  return new FlockerError(
    "POOL_MISSING",
    `The pool on ${source} that this node had is not there. No new one is made in its place; bring ` +
      "it back.",
  );
}

function invalid(sentence: string): FlockerError {
  return new FlockerError("CONFIGURATION_INVALID", `Configuration error: ${sentence}`);
}
