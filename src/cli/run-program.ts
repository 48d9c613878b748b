import { FlockerError, messageOf } from "../lib/errors.ts";
import { version } from "../lib/version.ts";
import { type Output, type RawValues, UsageError } from "./command.ts";
import { parseCommandLine } from "./parse-command-line.ts";
import type { Program } from "./program.ts";

export type Streams = {
  /** Whether `out` is a terminal. */
  readonly terminal: boolean;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
};

export const exitStatus = { ok: 0, operating: 1, usage: 2, bug: 70 } as const;

/**
 * Runs one command line and resolves to the exit status: 0, 1 (it could not be done), 2 (wrong
 * usage) or 70 (a bug of ours). Never rejects.
 */
export async function runProgram<Context>(
  program: Program<Context>,
  argv: readonly string[],
  streams: Streams,
  contextOf: (globals: RawValues, output: Output) => Context,
): Promise<number> {
  let json = argv.includes("--json");
  try {
    const parsed = await parseCommandLine(program, argv);
    switch (parsed.kind) {
      case "text":
        streams.out(parsed.text);
        return exitStatus.ok;
      case "usage":
        return usage(streams, parsed.message);
      case "run": {
        json = parsed.globals["json"] === true;
        const run = parsed.command.prepare(parsed.values);
        await run(contextOf(parsed.globals, outputTo(streams, json)));
        return exitStatus.ok;
      }
      default:
        return exitStatus.bug;
    }
  } catch (error) {
    if (error instanceof UsageError) return usage(streams, error.message);
    if (error instanceof FlockerError) return failed(streams, error, json);
    streams.err(
      `Error: ${messageOf(error)}\n` +
        `This is a bug of ${program.name} ${version}. Please report it with the command line.\n`,
    );
    return exitStatus.bug;
  }
}

function usage(streams: Streams, message: string): number {
  streams.err(`${message}\nTry --help for usage details.\n`);
  return exitStatus.usage;
}

function failed(streams: Streams, error: FlockerError, json: boolean): number {
  const { code, message: description, details } = error;
  streams.err(
    json ? `${JSON.stringify({ description, code, details })}\n` : `Error: ${description}\n`,
  );
  return exitStatus.operating;
}

function outputTo(streams: Streams, json: boolean): Output {
  return {
    terminal: streams.terminal,
    answer: (value, text) => streams.out(json ? `${JSON.stringify(value)}\n` : text()),
    talk: (line) => streams.err(`${line}\n`),
  };
}
