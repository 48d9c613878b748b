import { FlockerError } from "../lib/errors.ts";
import { type CliContext, UsageError } from "./command.ts";

/** Asks the person and resolves to what was typed; null where nobody can be asked. */
export type AskPerson = ((question: string) => Promise<string>) | null;

/** The typed confirmation of commands that cannot be undone, asked with `ask`. */
export function confirmWith(ask: AskPerson): CliContext["confirm"] {
  return async (question, word, yes) => {
    if (yes) return;
    if (ask === null) throw new UsageError("must specify --yes, as nobody can be asked here");
    if ((await ask(question)).trim() !== word) {
      throw new FlockerError("INVALID_ARGUMENT", "That was not it: nothing was done.");
    }
  };
}
