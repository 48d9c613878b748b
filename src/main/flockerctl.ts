import process from "node:process";
import { flockerctl, flockerctlContext } from "../cli/flockerctl.ts";
import { runProgram } from "../cli/run-program.ts";
import { askPerson } from "./ask-person.ts";

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
        ask: askPerson,
        opened: (client) => void clients.use(client),
      },
      globals,
      output,
    ),
);
