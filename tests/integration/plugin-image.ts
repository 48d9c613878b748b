import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { exec } from "../../src/lib/exec.ts";

const programs = ["/bin/sh", "/bin/cat", "/bin/ls", "/bin/sleep", "/bin/rm"];
const deadlineMs = 60_000;

/**
 * The root file system of a small image, as a tar: a shell, a few programs of this machine with the
 * libraries that they need, and a directory `/seeded` with a file in it.
 */
export async function smallImage(): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), "flocker-image-"));
  try {
    const root = join(directory, "root");
    const files = new Set(programs);
    for (const program of programs) {
      const { stdout } = await exec("ldd", [program], { deadlineMs });
      for (const [, library = ""] of stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) {
        files.add(library);
      }
    }
    for (const file of files) {
      const copy = join(root, file);
      mkdirSync(dirname(copy), { recursive: true });
      if (!existsSync(copy)) copyFileSync(file, copy);
    }
    mkdirSync(join(root, "seeded"));
    writeFileSync(join(root, "seeded", "file"), "from the image\n");
    const tar = join(directory, "image.tar");
    await exec("tar", ["-C", root, "-cf", tar, "."], { deadlineMs });
    return readFileSync(tar);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
