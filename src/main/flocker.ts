import process from "node:process";
import { createLogger } from "../lib/log.ts";
import { confirmWith } from "../cli/confirm.ts";
import { runProgram } from "../cli/run-program.ts";
import { askPerson } from "./ask-person.ts";
import { flocker } from "./flocker-program.ts";

let status = 0;

/** Only the services want to be told: everything else a signal may end at any moment. */
function untilStopped(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Once: a second one ends the process as it would any other.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  return promise;
}

const usageOrFailure = await runProgram(
  flocker,
  process.argv.slice(2),
  {
    terminal: process.stdout.isTTY,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  },
  (_globals, output) => ({
    output,
    confirm: confirmWith(askPerson),
    createLog: (level, service) => createLogger(level, { service }),
    untilStopped,
    ended: (ends) => {
      status = ends;
    },
    exit: (now) => process.exit(now),
  }),
);
process.exitCode = usageOrFailure === 0 ? status : usageOrFailure;
