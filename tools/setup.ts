import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** The program that is looked for, and the Debian package that brings it. */
const packageOf: Readonly<Record<string, string>> = {
  ip: "iproute2",
  iptables: "iptables",
  "ebtables-nft": "iptables",
  tini: "tini",
  curl: "curl",
  losetup: "mount",
  nsenter: "util-linux",
  setpriv: "util-linux",
  flock: "util-linux",
  kill: "procps",
  perl: "perl-base",
  strace: "strace",
  "mkfs.xfs": "xfsprogs",
  xfs_io: "xfsprogs",
  btrfs: "btrfs-progs",
  "mkfs.btrfs": "btrfs-progs",
  "mkfs.ext4": "e2fsprogs",
  chattr: "e2fsprogs",
  dockerd: "docker.io",
  docker: "docker.io",
  "docker-compose": "docker-compose",
  tcpdump: "tcpdump",
};

/** Where Debian has its programs; not everybody has all of these on PATH. */
export const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Says what is missing on this machine in one line, and throws nothing: it ends the process. */
export function checkMachine(): void {
  const { status } = spawnSync(process.execPath, ["tools/preflight.mjs"], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}

/** Installs by name the Debian packages of programs that this machine lacks; starts no service. */
export function installPackages(): void {
  // Programs of the system live in sbin directories, which not everybody has on PATH.
  process.env["PATH"] = `${process.env["PATH"] ?? ""}:${searchPath}`;
  const packages = missingPackages();
  if (packages.length === 0) return;
  if (findProgram("apt-get") === null) {
    console.error(`flocker: missing: ${packages.join(", ")} (install them; there is no apt-get)`);
    process.exit(1);
  }
  console.error(`flocker: installing Debian packages (once): ${packages.join(" ")}`);
  using _policy = startNoService();
  // An interrupted installation is finished first; an unreachable index may be one not needed.
  apt("dpkg", ["--configure", "-a"]);
  apt("apt-get", [...aptOptions, "update"]);
  const { status, output } = apt("apt-get", [
    ...aptOptions,
    "--yes",
    "--no-remove",
    "--no-install-recommends",
    "install",
    ...packages,
  ]);
  const left = missingPackages();
  if (status === 0 && left.length === 0) return;
  console.error(output.trim().split("\n").slice(-15).join("\n"));
  console.error(`flocker: apt-get could not install: ${left.join(" ")}`);
  process.exit(1);
}

const aptOptions = ["-qq", "-o", "DPkg::Lock::Timeout=300"];

function apt(command: string, args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return { status, output: `${stdout}${stderr}` };
}

function missingPackages(): readonly string[] {
  const missing = Object.entries(packageOf).filter(([program]) => findProgram(program) === null);
  return [...new Set(missing.map(([, name]) => name))];
}

/** Where `program` is on PATH. */
export function findProgram(program: string): string | null {
  for (const directory of (process.env["PATH"] ?? searchPath).split(":")) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

const policyFile = "/usr/sbin/policy-rc.d";
const policyText =
  "#!/bin/sh\n# Made by the set-up of Flocker while it installs packages.\nexit 101\n";

/** While this lives, packages that are installed start no service (invoke-rc.d(8)). */
function startNoService(): Disposable {
  // One that an interrupted set-up left behind is ours; anybody else's stays and is obeyed.
  const ours = !existsSync(policyFile) || readFileSync(policyFile, "utf8") === policyText;
  if (ours) {
    mkdirSync("/usr/sbin", { recursive: true });
    writeFileSync(policyFile, policyText, { mode: 0o755 });
  }
  return {
    [Symbol.dispose]: () => {
      if (ours) rmSync(policyFile, { force: true });
    },
  };
}

/** Everything that `./demo` and `./test` need on this machine, in the order of what can fail. */
export async function setUp(): Promise<void> {
  checkMachine();
  removeStalePolicy();
  installPackages();
  const { buildBundles } = await import("./build.ts");
  await buildBundles();
}

/** What systemd does at the first boot of a machine; a bare root never had one. (machine-id(5)) */
export function ensureMachineId(path: string): void {
  if (existsSync(path) && readFileSync(path, "utf8").trim() !== "") return;
  console.error(`flocker: ${path} says nothing; writing a new one`);
  writeFileSync(path, `${randomBytes(16).toString("hex")}\n`, { mode: 0o444 });
}

/** An interrupted set-up may have left the file that keeps services from starting. */
function removeStalePolicy(): void {
  if (existsSync(policyFile) && readFileSync(policyFile, "utf8") === policyText) rmSync(policyFile);
}
