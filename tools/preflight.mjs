// What a machine must have before hosts can be made on it. Plain JavaScript: it runs on the Node.js
// that is there, before ours is brought. Prints one line that names all that is missing, or nothing.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statfsSync } from "node:fs";

const succeeds = (command, ...args) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** Whether the kernel has `name`, which may be a module that nobody has loaded yet. */
function fileSystemKnown(name) {
  const known = () =>
    readFileSync("/proc/filesystems", "utf8")
      .split("\n")
      .some((line) => line.endsWith(`\t${name}`));
  return known() || (succeeds("modprobe", name) && known());
}

function cgroupsMounted() {
  return existsSync("/sys/fs/cgroup/cgroup.controllers") || existsSync("/sys/fs/cgroup/freezer");
}

function freeBytes(path) {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

const namespaces = ["--pid", "--mount", "--net", "--uts", "--ipc"];

/** What is needed, what to do without it, and whether it is there. */
const needs = [
  {
    name: "Node.js 18 or later",
    remedy: "apt-get install nodejs npm",
    isThere: () => Number(process.versions.node.split(".")[0]) >= 18,
  },
  {
    name: "Linux on x86_64 or arm64",
    remedy: "use another machine",
    isThere: () => process.platform === "linux" && ["x64", "arm64"].includes(process.arch),
  },
  {
    name: "root",
    remedy: "run it as root, for example with sudo",
    isThere: () => process.getuid() === 0,
  },
  {
    name: "/proc",
    remedy: "mount -t proc proc /proc",
    isThere: () => existsSync("/proc/self/mountinfo"),
  },
  {
    name: "/sys",
    remedy: "mount -t sysfs sysfs /sys",
    isThere: () => existsSync("/sys/block"),
  },
  {
    name: "cgroups",
    remedy: "mount -t cgroup2 none /sys/fs/cgroup",
    isThere: cgroupsMounted,
  },
  ...["overlay", "xfs", "ext4"].map((name) => ({
    name: `the file system ${name}`,
    remedy: "use a kernel that has it",
    isThere: () => fileSystemKnown(name),
  })),
  {
    name: "loop devices",
    remedy: "modprobe loop; in a container, pass /dev through",
    isThere: () =>
      existsSync("/dev/loop-control") ||
      (succeeds("modprobe", "loop") && existsSync("/dev/loop-control")),
  },
  {
    name: "the right to make namespaces",
    remedy: "use a machine, a virtual machine or a privileged container",
    isThere: () =>
      succeeds("unshare", ...namespaces, "--propagation", "unchanged", "--fork", "true"),
  },
  {
    name: "3 GB of free disk in /var/tmp",
    remedy: "make room",
    isThere: () => freeBytes("/var/tmp") > 3e9,
  },
];

const missing = [];
for (const { name, remedy, isThere } of needs) {
  let there = false;
  try {
    there = isThere();
  } catch {
    // What cannot be looked at is missing.
  }
  if (!there) missing.push(`${name} (${remedy})`);
  // Without these nothing else can be told.
  if (!there && ["root", "/proc"].includes(name)) break;
}
if (missing.length > 0) {
  console.error(`flocker: missing: ${missing.join("; ")}`);
  process.exit(1);
}
