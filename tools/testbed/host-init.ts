// The first process of a host's namespaces: mounts what makes them a host, then becomes its init.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { addressOf, switchAddress } from "./bed-paths.ts";
import type { InitOrders } from "./host-record.ts";
import { writeJson } from "./linux/json-file.ts";
import { identifySelf } from "./linux/process-identity.ts";
import { servicesFile } from "./service.ts";

const hostsMax = 32;
/** Where a host finds our programs. */
const installed = "/usr/local/lib/flocker";

function sh(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
  }
}

/** Mounts the host's disk and, upon a copy-on-write clone of this machine's root, returns it. */
function mountRoot({ directory, diskImage }: InitOrders): string {
  const root = join(directory, "root");
  const disk = join(directory, "disk");
  for (const path of [root, disk]) mkdirSync(path, { recursive: true });
  // A clone's disk bears the same UUID as the one that it was copied from.
  sh("mount", "-o", "loop,nouuid", diskImage, disk);
  overlay("/", join(disk, "layers", "base"), root);
  // What is a file system of its own on this machine is not in that clone yet.
  for (const path of ["/usr", "/var", "/opt", "/srv", "/home"]) {
    if (!existsSync(path) || statSync(path).dev === statSync("/").dev) continue;
    overlay(path, join(disk, "layers", path.slice(1)), join(root, path));
  }
  bind(join(disk, "docker"), join(root, "var/lib/docker"));
  return root;
}

/** Mounts at `on` a clone of the directory `lower`; what is changed in it is kept in `layer`. */
function overlay(lower: string, layer: string, on: string): void {
  const upper = join(layer, "upper");
  const work = join(layer, "work");
  rmSync(work, { recursive: true, force: true }); // A crash leaves it in a state of its own.
  for (const path of [upper, work]) mkdirSync(path, { recursive: true });
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  sh("mount", "-t", "overlay", "overlay", "-o", options, on);
}

function bind(from: string, to: string): void {
  mkdirSync(from, { recursive: true });
  mkdirSync(to, { recursive: true });
  sh("mount", "--bind", from, to);
}

/** The kernel's own file systems, and those that are empty after each boot. */
function mountKernel(root: string, { host, bedRoot, sanMount, checkout }: InitOrders): void {
  const at = (path: string): string => {
    mkdirSync(join(root, path), { recursive: true });
    return join(root, path);
  };
  sh("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", at("proc"));
  sh("mount", "-t", "sysfs", "sysfs", at("sys"));
  sh("mount", "--rbind", "/sys/fs/cgroup", at("sys/fs/cgroup"));
  sh("mount", "--bind", "/dev", at("dev"));
  const terminals = "newinstance,ptmxmode=0666,mode=620,gid=5";
  sh("mount", "-t", "devpts", "-o", terminals, "devpts", at("dev/pts"));
  sh("mount", "-t", "tmpfs", "-o", "mode=1777", "shm", at("dev/shm"));
  sh("mount", "-t", "tmpfs", "-o", "mode=755", "run", at("run"));
  sh("mount", "-t", "tmpfs", "-o", "mode=1777", "tmp", at("tmp"));
  for (const path of ["run/lock", "run/testbed", "run/docker/plugins"]) at(path);
  bind(sanMount, at("san"));
  // The images of this very bed are nothing that a host may see.
  sh("mount", "-t", "tmpfs", "-o", "mode=700,size=64k", "none", at(bedRoot));
  // Where the commands are installed too: a checkout below /root is for root alone.
  for (const path of host.bare ? [checkout] : [installed, checkout]) {
    sh("mount", "--bind", checkout, at(path));
    sh("mount", "-o", "remount,bind,ro", at(path));
  }
}

/** Who the host is. Each boot has a new boot id; the machine's id is the same after each. */
function identify(root: string, { host }: InitOrders): void {
  const bootId = join(root, "run/testbed/boot_id");
  writeFileSync(bootId, `${randomUUID()}\n`);
  sh("mount", "--bind", bootId, join(root, "proc/sys/kernel/random/boot_id"));
  replace(join(root, "etc/machine-id"), `${host.machineId}\n`);
  replace(join(root, "etc/hostname"), `${host.name}\n`);
  writeFileSync("/proc/sys/kernel/hostname", host.name);
  writeFileSync(join(root, servicesFile), JSON.stringify(host.services));
}

function replace(path: string, text: string): void {
  rmSync(path, { force: true }); // It may be a link to something of this machine.
  writeFileSync(path, text);
}

/** At the first boot of a disk: nothing of this machine's own cluster, and what the bed gives. */
function furnish(root: string, { host, seed, directory }: InitOrders): void {
  const furnished = join(directory, "disk", "furnished");
  if (existsSync(furnished)) return;
  for (const path of ["etc/flocker", "var/lib/flocker", "flocker", "etc/docker"]) {
    rmSync(join(root, path), { recursive: true, force: true });
  }
  // No registry, and nothing answers at the switch's port 53: a name lookup fails at once.
  replace(join(root, "etc/resolv.conf"), `nameserver ${switchAddress}\n`);
  const numbers = Array.from({ length: hostsMax }, (_, index) => index + 1);
  const hosts = numbers.map((number) => `${addressOf(number)} h${number}`);
  const control = host.bare ? [] : [`${addressOf(1)} control-service`];
  const lines = ["127.0.0.1 localhost", ...control, ...hosts];
  replace(join(root, "etc/hosts"), `${lines.join("\n")}\n`);
  if (!host.bare) {
    for (const program of ["flocker", "flockerctl", "flocker-volumes", "flocker-ca"]) {
      const link = join(root, "usr/local/bin", program);
      mkdirSync(join(root, "usr/local/bin"), { recursive: true });
      rmSync(link, { force: true });
      symlinkSync(join(installed, "bin", program), link);
    }
  }
  if (existsSync(seed)) sh("cp", "-a", `${seed}/.`, root);
  writeFileSync(furnished, "");
}

/**
 * Makes `root` the root of this namespace's mounts, and becomes an init that runs the supervisor.
 * Below a chroot(2) the root that we see is another one, and it would be the other to which
 * setns(2) took everybody who enters, as `docker exec` does: nsenter goes to it before.
 */
function become(root: string): never {
  const supervisor = join(import.meta.dirname, "supervisor.ts");
  process.chdir(root);
  mkdirSync("mnt", { recursive: true });
  const pivot = 'pivot_root . mnt && exec chroot . sh -c "$0" "$@"';
  // As systemd does on a real host: mounts made here reach containers that ask for it.
  const finish = 'umount -l /mnt && mount --make-rshared / && exec tini -s -- "$0" "$1"';
  const entering = ["--mount=/proc/self/ns/mnt", "--wd=.", "--"];
  const init = [finish, process.execPath, supervisor];
  return execute("nsenter", [...entering, "sh", "-c", pivot, ...init]);
}

function execute(program: string, args: readonly string[]): never {
  const directories = (process.env["PATH"] ?? "").split(":");
  const file = directories.map((path) => join(path, program)).find((path) => existsSync(path));
  if (file === undefined || process.execve === undefined) throw new Error(`no ${program}`);
  return process.execve(file, [program, ...args], process.env);
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by host.ts
const orders = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as InitOrders;
writeFileSync(orders.cgroupMembers, "0");
writeJson(orders.initRecord, identifySelf());
const root = mountRoot(orders);
furnish(root, orders);
mountKernel(root, orders);
identify(root, orders);
become(root);
