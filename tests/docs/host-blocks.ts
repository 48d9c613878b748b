import { readFileSync } from "node:fs";

/** A block of the README that names where it is run: "```sh host=h1". */
export type HostBlock = { readonly host: string; readonly text: string };

/** The blocks for hosts, in order; those of `you` are lines of `scp -r FROM:DIR TO:DIR`. */
export function hostBlocks(): readonly HostBlock[] {
  const readme = readFileSync("README.md", "utf8");
  return [...readme.matchAll(/^```sh host=(\S+)\n([\s\S]*?)^```$/gm)].map(
    ([, host = "", text = ""]) => ({ host, text }),
  );
}

export type Copy = {
  readonly from: readonly [string, string];
  readonly to: readonly [string, string];
};

/** The directories that a block of `you` copies; throws on any line that does something else. */
export function copiesOf({ text }: HostBlock): readonly Copy[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const match = /^scp -r (h[12]):(\/\S+) (h[12]):(\/\S+)$/.exec(line);
      const [, from = "", source = "", to = "", target = ""] = match ?? [];
      if (match === null) throw new Error(`not a copy from host to host: ${line}`);
      return { from: [from, source], to: [to, target] };
    });
}
