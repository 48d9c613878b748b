import { describe, expect, test } from "vitest";
import { formatTable } from "./table.ts";

describe("the table of the original, to the byte", () => {
  test("pads to the widest cell in code points, three spaces between, one after", () => {
    const rows = [
      ["SERVER", "ADDRESS"],
      ["1acbab49", "172.31.1.10"],
      ["5f3d2f4e", "172.31.1.11"],
    ];
    expect(formatTable(rows)).toBe(
      "SERVER     ADDRESS     \n1acbab49   172.31.1.10 \n5f3d2f4e   172.31.1.11 \n\n",
    );
  });

  test("an emoji counts as one column", () => {
    const rows = [
      ["STATUS", "SERVER"],
      ["attached ✅", "1acbab49 (172.31.1.10)"],
      ["pending ⌛", "<missing>"],
    ];
    expect(formatTable(rows)).toBe(
      "STATUS       SERVER                 \n" +
        "attached ✅   1acbab49 (172.31.1.10) \n" +
        "pending ⌛    <missing>              \n\n",
    );
  });

  test("only a header is a table as well", () => {
    expect(formatTable([["SERVER", "ADDRESS"]])).toBe("SERVER   ADDRESS \n\n");
  });
});

describe("rows over 140 columns", () => {
  const id = "5540d6e3-392b-4da0-828a-34b724c5bb80";
  const why = "waiting for node 08ad1785 to release it: held by container redis ".repeat(3);

  test("continue in the columns that may wrap, and ids stay whole", () => {
    const text = formatTable(
      [
        ["DATASET", "STATUS", "SERVER"],
        [id, why, "1acbab49 (h1)"],
      ],
      [1],
    );
    const lines = text.trimEnd().split("\n");

    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(140);
    expect(lines[1]).toContain(id);
    const [begin = 0, end = 0] = [lines[0]?.indexOf("STATUS"), lines[0]?.indexOf("SERVER")];
    const said = lines.slice(1).map((line) => line.slice(begin, end).trim());
    expect(said.join(" ")).toBe(why.trim());
  });

  test("words longer than the column are cut, and nothing is lost", () => {
    const metadata = "x".repeat(300);
    const text = formatTable(
      [
        ["DATASET", "METADATA"],
        [id, metadata],
      ],
      [1],
    );

    expect(text.replaceAll(/[^x]/g, "")).toHaveLength(300);
  });

  test("stay long when no column may wrap", () => {
    expect(formatTable([["A"], ["y".repeat(200)]])).toContain("y".repeat(200));
  });
});
