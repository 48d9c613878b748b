import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Tests that `cases` prove what is written at the members of a port, all of it and nothing else. */
export function testSentences(
  port: { readonly file: string; readonly name: string },
  cases: readonly { readonly name: string; readonly sentence: string }[],
): void {
  test("every sentence of the port's documentation has a case, and every case a sentence", () => {
    const sentences = new Set(sentencesOf(port));

    expect(new Set(cases.map(({ sentence }) => sentence))).toEqual(sentences);
    expect(sentences.size).toBeGreaterThan(20);
  });

  test("no two cases have one name", () => {
    const names = cases.map(({ name }) => name);

    expect(new Set(names).size).toBe(names.length);
  });
}

/** Without what is the caller's duty. */
function sentencesOf({ file, name }: { file: string; name: string }): readonly string[] {
  const source = readFileSync(file, "utf8");
  const port = new RegExp(`export interface ${name}[^]*?\\n\\}`).exec(source)?.[0] ?? "";
  return [...port.matchAll(/\/\*\*([^]*?)\*\//g)]
    .map((match) =>
      (match[1] ?? "")
        .replaceAll(/\n\s*\*/g, " ")
        .replaceAll(/\s+/g, " ")
        .trim(),
    )
    .flatMap((text) => text.split(/(?<=\.)\s/))
    .filter((sentence) => !sentence.startsWith("Callers"));
}
