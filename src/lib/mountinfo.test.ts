import { array, assert, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { mountAt, mountOf, parseMountinfo } from "./mountinfo.ts";

const lines = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
90 27 7:3 /data /flocker/with\\040space rw shared:5 - ext4 /dev/loop3 rw
91 27 7:4 / /flocker/with\\040space rw - xfs /dev/loop4 rw
92 27 0:40 / /tab\\011and\\134slash rw - tmpfs none rw
`;

function kernelEscape(path: string): string {
  return path.replaceAll(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

describe("mountinfo", () => {
  test("optional fields may be none or many, and paths are unescaped", () => {
    const mounts = parseMountinfo(lines);

    expect(mounts.map(({ mountPoint }) => mountPoint)).toEqual([
      "/proc",
      "/",
      "/flocker/with space",
      "/flocker/with space",
      "/tab\tand\\slash",
    ]);
    expect(mounts[1]).toMatchObject({
      deviceNumber: "254:0",
      propagation: ["shared:1", "master:2"],
      fileSystem: "ext4",
      source: "/dev/vda",
    });
    expect(mounts[2]?.root).toBe("/data");
  });

  test("the topmost of several mounts on one path is the one that is seen", () => {
    const mounts = parseMountinfo(lines);

    expect(mountAt(mounts, "/flocker/with space")?.deviceNumber).toBe("7:4");
    expect(mountAt(mounts, "/flocker")).toBeNull();
    expect(mountOf(mounts, "/flocker/with space/x")?.deviceNumber).toBe("7:4");
    expect(mountOf(mounts, "/flocker/with spaces")?.mountPoint).toBe("/");
    expect(mountOf(mounts, "/procedure")?.mountPoint).toBe("/");
  });

  test("any path comes back as the kernel was given it", () => {
    const path = array(string({ minLength: 1 }), { minLength: 1 }).map(
      (parts) => `/${parts.join("/")}`,
    );
    assert(
      property(path, path, (mountPoint, root) => {
        const line = `1 2 8:1 ${kernelEscape(root)} ${kernelEscape(mountPoint)} rw - ext4 /dev/x rw`;

        expect(parseMountinfo(line)).toMatchObject([{ mountPoint, root }]);
      }),
    );
  });
});
