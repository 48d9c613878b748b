import { readFile } from "node:fs/promises";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import { writeDurably } from "../../lib/durable-file.ts";

/**
 * A file beside the database that says how far it had come. A database that was copied over by
 * hand (`cp`, a restored directory of a backup tool) is behind its witness.
 */
const witnessSchema = Type.Object({
  storeId: Type.String(),
  term: Type.Integer(),
  instance: Type.String(),
  /** Known to be reached: at the start, and at a clean end. */
  revision: Type.Integer(),
  machineId: Type.String(),
  path: Type.String(),
  /** The process ended in order; otherwise the next start looks through the database. */
  clean: Type.Boolean(),
});
export type Witness = Readonly<Static<typeof witnessSchema>>;

const compiled = Compile(witnessSchema);

export function witnessPath(path: string): string {
  return `${path}.witness`;
}

/** Null when there is none, or when it cannot be read: then it proves nothing. */
export async function readWitness(path: string): Promise<Witness | null> {
  try {
    const value: unknown = JSON.parse(await readFile(witnessPath(path), "utf8"));
    return compiled.Check(value) ? value : null;
  } catch {
    return null;
  }
}

export async function writeWitness(path: string, witness: Witness): Promise<void> {
  await writeDurably(witnessPath(path), `${JSON.stringify(witness)}\n`);
}

/** What the database says of itself, to be held against the witness. */
export type Position = {
  readonly storeId: string;
  readonly revision: number;
  readonly last: { readonly term: number; readonly instance: string } | null;
};

/** The witness saw more than the database knows: it was set back or exchanged. */
export function isBehind(at: Position, witness: Witness): boolean {
  const { last } = at;
  if (at.storeId !== witness.storeId || last === null) return true;
  if (last.term !== witness.term) return last.term < witness.term;
  return last.instance !== witness.instance || at.revision < witness.revision;
}
