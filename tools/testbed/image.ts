import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { exec } from "../../src/lib/exec.ts";
import type { BedPaths } from "./bed-paths.ts";
import { lock } from "./linux/lock.ts";
import { run } from "./run.ts";

/** The image that stands for any database's: redis, postgres and the tools to look at files. */
export const imageName = "flocker-demo:1";

const packages = [
  "redis-server",
  "redis-tools",
  "postgresql",
  "postgresql-client",
  "bash",
  "dash",
  "coreutils",
  "mawk",
  "sed",
  "grep",
  "findutils",
  "libc-bin",
  "util-linux",
  "busybox-static",
  "tzdata",
];

/** Needed by those to be configured or to compile queries; nothing in the image does either. */
const left = /^(?:perl|lib[\w-]*perl|libllvm|libz3|usrmerge|locales|libc-l10n|debconf|adduser)/;

const deadlineMs = 300_000;

/** Raised when the image is made otherwise than before: what is cached is of this one. */
const recipe = 2;

export function imageTar(bed: BedPaths): string {
  return join(bed.cache, `flocker-demo-1.${recipe}.tar`);
}

/**
 * Makes the image from Debian packages of the release that this machine has, once: they are
 * unpacked, not installed, and what only an installation needs is left out.
 */
export async function buildImage(bed: BedPaths): Promise<void> {
  using _lock = lock(join(bed.cache, "image.lock"));
  if (existsSync(imageTar(bed))) return;
  console.error("flocker: making the demo's image from Debian packages (once)");
  const work = join(bed.cache, "image");
  rmSync(work, { recursive: true, force: true });
  const root = join(work, "root");
  for (const path of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(root, "usr", path), { recursive: true });
    symlinkSync(`usr/${path}`, join(root, path));
  }
  for (const file of await download(work)) {
    const script = 'dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -x --keep-directory-symlink';
    await exec("sh", ["-c", script, "sh", file, root], { deadlineMs });
  }
  prune(root);
  await furnish(root);
  const tar = imageTar(bed);
  const options = ["--sort=name", "--numeric-owner", "-cf", `${tar}.new`, "."];
  await exec("tar", ["-C", root, ...options], { deadlineMs });
  renameSync(`${tar}.new`, tar);
  rmSync(work, { recursive: true });
}

/**
 * The files of the packages and of all that they depend on, whatever this machine has installed.
 */
async function download(work: string): Promise<readonly string[]> {
  const archives = join(work, "packages");
  mkdirSync(join(archives, "partial"), { recursive: true });
  writeFileSync(join(work, "nothing-installed"), "");
  const options = [
    "-qq",
    "--yes",
    "-o",
    "Debug::NoLocking=1",
    "-o",
    "APT::Sandbox::User=root",
    "-o",
    `Dir::State::status=${join(work, "nothing-installed")}`,
    "-o",
    `Dir::Cache::archives=${archives}`,
    "--download-only",
    "--no-install-recommends",
    "install",
    ...packages,
  ];
  try {
    await exec("apt-get", options, { deadlineMs });
  } catch {
    // The lists of packages may be old, or not there at all.
    await exec("apt-get", ["-qq", "update"], { deadlineMs });
    await exec("apt-get", options, { deadlineMs });
  }
  return readdirSync(archives)
    .filter((name) => name.endsWith(".deb") && !left.test(name))
    .sort()
    .map((name) => join(archives, name));
}

function prune(root: string): void {
  const share = ["doc", "man", "info", "locale", "i18n", "perl", "perl5", "lintian", "zsh", "bug"];
  const paths = [
    ...share.map((name) => `usr/share/${name}`),
    "usr/share/zoneinfo/right",
    "usr/share/zoneinfo/posix",
    "usr/lib/systemd",
    "lib/systemd",
    "var/lib/dpkg",
    "var/cache",
    "var/log",
    "etc/apt",
    "usr/lib/apt",
    "usr/lib/udev",
    // With PAM, which nothing configured; busybox has one that does without.
    "usr/bin/su",
  ];
  for (const path of paths) rmSync(join(root, path), { recursive: true, force: true });
}

const postgresId = 102;

/** What the packages' own installation would have made, as far as somebody needs it. */
async function furnish(root: string): Promise<void> {
  for (const path of ["proc", "sys", "dev", "run/postgresql", "tmp", "root", "var/log"]) {
    mkdirSync(join(root, path), { recursive: true });
  }
  rmSync(join(root, "var/run"), { recursive: true, force: true });
  symlinkSync("/run", join(root, "var/run"));
  chmodSync(join(root, "tmp"), 0o1777);
  writeFileSync(join(root, "etc/passwd"), passwd.join("\n"));
  writeFileSync(join(root, "etc/group"), group.join("\n"));
  const data = join(root, "var/lib/postgresql");
  mkdirSync(data, { recursive: true });
  for (const path of [data, join(root, "run/postgresql")]) chownSync(path, postgresId, postgresId);
  // Debian's own are wrappers in perl, or not on PATH at all.
  const postgres = join(root, "usr/lib/postgresql");
  const bin = join(postgres, readdirSync(postgres)[0] ?? "", "bin");
  for (const program of readdirSync(bin)) {
    link(join(root, "usr/bin", program), join(bin, program).slice(root.length));
  }
  writeFileSync(join(root, "usr/bin/serve-postgres"), servePostgres, { mode: 0o755 });
  link(join(root, "usr/bin/awk"), "mawk");
  link(join(root, "usr/bin/sh"), "dash");
  const applets = await run(join(root, "usr/bin/busybox"), "--list");
  for (const applet of applets.trim().split("\n")) {
    const there = ["bin", "sbin"].some((path) => existsSync(join(root, "usr", path, applet)));
    if (!there) link(join(root, "usr/bin", applet), "busybox");
  }
}

/** What the entry points of postgres images do: a cluster is made where there is none. */
const servePostgres = `#!/bin/sh
# serve-postgres DIRECTORY
set -eu
[ -s "$1/PG_VERSION" ] || {
  chown postgres "$1"
  su postgres -c "initdb -D '$1'" >&2
}
rm -f "$1/postmaster.pid"
exec su postgres -c "exec postgres -D '$1'"
`;

function link(path: string, target: string): void {
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

const passwd = [
  "root:x:0:0::/root:/bin/bash",
  "redis:x:101:101::/data:/bin/sh",
  `postgres:x:${postgresId}:${postgresId}::/var/lib/postgresql:/bin/bash`,
  "nobody:x:65534:65534::/:/bin/false",
  "",
];

const group = ["root:x:0:", "redis:x:101:", `postgres:x:${postgresId}:`, "nogroup:x:65534:", ""];
