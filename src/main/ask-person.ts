import process from "node:process";
import type { AskPerson } from "../cli/confirm.ts";

/** Whoever sits at the terminal of this process, if it has one. */
export const askPerson: AskPerson =
  process.stdin.isTTY && process.stderr.isTTY ? askAtTerminal : null;

async function askAtTerminal(question: string): Promise<string> {
  const { createInterface } = await import("node:readline/promises");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question);
  } catch {
    process.stderr.write("\n");
    return ""; // Ctrl-D and Ctrl-C are answers too, though not the one that was asked for.
  } finally {
    terminal.close();
  }
}
