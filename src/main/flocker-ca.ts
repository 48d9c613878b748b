import process from "node:process";
import { flockerCa } from "../cli/flocker-ca.ts";
import { runProgram } from "../cli/run-program.ts";

process.exitCode = await runProgram(
  flockerCa,
  process.argv.slice(2),
  {
    terminal: process.stdout.isTTY,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  },
  (_globals, output) => ({ output, directory: process.cwd(), nowMs: Date.now }),
);
