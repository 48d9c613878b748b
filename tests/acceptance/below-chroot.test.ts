import { execFileSync } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Bed } from "../../tools/testbed/bed.ts";
import { buildImage } from "../../tools/testbed/image.ts";

const bed = new Bed({ purpose: "below-a-chroot", bare: true });

const upHere = `
  const { Bed } = await import("./tools/testbed/bed.ts");
  const bed = new Bed({ purpose: "below-a-chroot", checkout: process.cwd(), bare: true });
  await bed.up(1);
  bed.keep();`;

/** Brings up h1 as a test bed does whose root is this machine's, but not that of its mounts. */
function upBelowChroot(root: string): void {
  mkdirSync(root, { recursive: true });
  const script =
    'mount --rbind / "$0" && exec chroot "$0" env -C "$1" "$2" --input-type=module -e "$3"';
  const command = ["sh", "-c", script, root, bed.paths.checkout, process.execPath, upHere];
  execFileSync("unshare", ["--mount", "--propagation", "private", "--", ...command]);
}

test("a host below a chroot is the root of its mounts, also for docker exec", async () => {
  await buildImage(bed.paths);
  const root = join(bed.paths.cache, "below-a-chroot");
  try {
    upBelowChroot(root);
    const init = bed.initOf("h1");
    const enter = (...args: string[]): string =>
      execFileSync("nsenter", ["-t", String(init?.pid), "-m", ...args], { encoding: "utf8" });

    expect(enter("--", "cat", "/etc/hostname")).toBe("h1\n");
    enter(
      "-n",
      "-r",
      "--",
      "docker",
      "run",
      "-d",
      "--name",
      "inside",
      "flocker-demo:1",
      "sleep",
      "60",
    );
    const version = enter("-r", "--", "docker", "exec", "inside", "redis-cli", "--version");
    expect(version).toMatch(/^redis-cli /);
  } finally {
    await bed.down();
    rmdirSync(root); // Not before: the kernel never lets go of mounts below a mount point removed.
  }
});
