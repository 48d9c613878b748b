import { Command as Parser, CommanderError, Option as ParserOption } from "commander";
import { version } from "../lib/version.ts";
import { type Args, type Command, type RawValues, flagNamed, flagOf, isPlaced } from "./command.ts";
import { type Program, jsonFlag } from "./program.ts";

export type CommandLine<Context> =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "usage"; readonly message: string }
  | {
      readonly kind: "run";
      readonly command: Command<Context>;
      readonly values: RawValues;
      readonly globals: RawValues;
    };

const subjects: Readonly<Record<string, string>> = { node: "a node", trash: "the trash" };
const helpText = "Print this help";

/** The only module that knows the library which parses command lines. */
export async function parseCommandLine<Context>(
  program: Program<Context>,
  argv: readonly string[],
): Promise<CommandLine<Context>> {
  const printed: string[] = [];
  let result: CommandLine<Context> | null = null;
  const parser = makeParser(program, (text) => printed.push(text));
  for (const command of program.commands) {
    addCommand(parser, command, (values) => {
      result = { kind: "run", command, values, globals: parser.opts() };
    });
  }
  try {
    await parser.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const helpAsked = error.exitCode === 0 && printed.length > 0;
    if (helpAsked) return { kind: "text", text: printed.join("") };
    if (error.code !== "commander.help") return { kind: "usage", message: error.message };
  }
  if (result !== null) return result;
  if (program.withoutCommand === "help" && argv.length === 0) {
    return await parseCommandLine(program, ["--help"]);
  }
  const helpFor = argv.includes("help") ? argv[argv.indexOf("help") + 1] : undefined;
  const isUnknown = helpFor !== undefined && !helpFor.startsWith("-");
  const message = isUnknown ? `error: unknown command '${helpFor}'` : "Please specify a command.";
  return { kind: "usage", message };
}

function makeParser<Context>(program: Program<Context>, print: (text: string) => void): Parser {
  const parser = new Parser(program.name)
    .description([program.summary, ...program.details].join("\n\n"))
    .version(`${program.name} ${version}`, "--version", "Print the version of this program")
    .helpOption("-h, --help", helpText)
    .helpCommand("help [command]", "Print the help of a command")
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {} })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", examplesText(program.examples));
  addArgs(parser, { ...program.globals, json: jsonFlag });
  return parser;
}

function addCommand<Context>(
  parser: Parser,
  command: Command<Context>,
  found: (values: RawValues) => void,
): void {
  const [first = "", second] = command.name.split(" ");
  const parent = second === undefined ? parser : groupOf(parser, first);
  const own = parent
    .command(second ?? first)
    .aliases(command.aliases)
    .summary(command.summary)
    .description([command.summary, ...command.details].join("\n\n"))
    .addHelpText("after", examplesText(command.examples));
  const isTaken = Object.values(command.args).some((arg) => "short" in arg && arg.short === "h");
  own.helpOption(isTaken ? "--help" : "-h, --help", helpText);
  addArgs(own, command.args);
  const names = Object.entries(command.args)
    .filter(([, arg]) => isPlaced(arg))
    .map(([name]) => name);
  own.action((...given: readonly unknown[]) => {
    const words = Object.fromEntries(names.map((name, index) => [name, given[index]]));
    // A parent that is a command itself takes what it knows, wherever it stands.
    const taken = parent === parser ? {} : parent.opts();
    const foreign = Object.keys(taken).find((name) => !(name in command.args));
    if (foreign !== undefined) own.error(`error: unknown option '${flagNamed(foreign)}'`);
    found({ ...taken, ...own.opts(), ...words });
  });
}

function groupOf(parser: Parser, name: string): Parser {
  const existing = parser.commands.find((command) => command.name() === name);
  if (existing !== undefined) return existing;
  return parser
    .command(name)
    .summary(`Commands about ${subjects[name] ?? name}`)
    .helpOption("-h, --help", helpText)
    .helpCommand("help [command]", "Print the help of a command");
}

/** All optional for the parser: what is required is checked with the words of the original. */
function addArgs(parser: Parser, args: Args): void {
  for (const [name, arg] of Object.entries(args)) {
    if (isPlaced(arg)) {
      parser.argument(flagOf(name, arg), arg.help);
      continue;
    }
    const long = arg.kind === "flag" ? flagOf(name, arg) : `${flagOf(name, arg)} <${arg.value}>`;
    const flags = arg.short === undefined ? long : `-${arg.short}, ${long}`;
    parser.addOption(new ParserOption(flags, arg.help));
  }
}

function examplesText(examples: readonly string[]): string {
  return ["", "Examples:", ...examples.map((line) => `  $ ${line}`)].join("\n");
}
