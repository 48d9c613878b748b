import process from "node:process";
import { type AskPerson, flockerctl, flockerctlContext } from "../cli/flockerctl.ts";
import { runProgram } from "../cli/run-program.ts";

const ask: AskPerson = process.stdin.isTTY && process.stderr.isTTY ? askAtTerminal : null;

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

// `flockerctl ls | head -1` closes the pipe early: nothing went wrong.
process.stdout.on("error", (error) => {
  process.exit("code" in error && error.code === "EPIPE" ? 0 : 1);
});

using clients = new DisposableStack();
process.exitCode = await runProgram(
  flockerctl,
  process.argv.slice(2),
  {
    terminal: process.stdout.isTTY,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  },
  (globals, output) =>
    flockerctlContext(
      {
        surroundings: {
          env: process.env,
          directory: process.cwd(),
          hostDirectory: "/etc/flocker",
        },
        ask,
        opened: (client) => void clients.use(client),
      },
      globals,
      output,
    ),
);
