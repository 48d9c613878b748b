import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Args, type Command, flagOf, isPlaced } from "../src/cli/command.ts";
import { flockerCa } from "../src/cli/flocker-ca.ts";
import { flockerctl } from "../src/cli/flockerctl.ts";
import { type Program, jsonFlag } from "../src/cli/program.ts";
import { flocker } from "../src/main/flocker-program.ts";

/** Pages that are made from values in the code, by path; a test keeps the files equal to them. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  "docs/reference/cli.md": () =>
    [
      "# Command line",
      "Made from the commands themselves by `node tools/gen-docs.ts`; edits here are lost.",
      programText(flockerctl),
      programText(flockerCa),
      programText(flocker),
    ].join("\n\n") + "\n",
};

/** The generated pages whose files say something else. */
export function stalePages(): readonly string[] {
  return Object.entries(generatedPages)
    .filter(([path, page]) => readOr(path, "") !== page())
    .map(([path]) => path);
}

function programText<Context>(program: Program<Context>): string {
  return [
    `## ${program.name}`,
    `${program.summary}.`,
    ...program.details,
    "Options of every command, before or after its name:",
    optionLines({ ...program.globals, json: jsonFlag }),
    ...program.commands.map((command) => commandText(program.name, command)),
  ].join("\n\n");
}

function commandText<Context>(program: string, command: Command<Context>): string {
  const words = Object.entries(command.args).map(([name, arg]) => synopsisWord(name, arg));
  const shown = words.filter((word) => word !== null);
  const hasOptions = Object.values(command.args).some(
    ({ kind }) => kind === "option" || kind === "flag",
  );
  const synopsis = [program, command.name, ...shown, ...(hasOptions ? ["[options]"] : [])];
  const aliases = command.aliases.map((alias) => `\`${alias}\``).join(", ");
  return [
    `### ${program} ${command.name}`,
    fenced([synopsis.join(" ")]),
    `${command.summary}.${aliases === "" ? "" : ` Also called ${aliases}.`}`,
    ...command.details,
    ...(Object.keys(command.args).length === 0 ? [] : [optionLines(command.args)]),
    fenced(command.examples),
  ].join("\n\n");
}

function synopsisWord(name: string, arg: Args[string]): string | null {
  if (isPlaced(arg)) return flagOf(name, arg);
  return arg.kind === "required" ? `${flagOf(name, arg)} <${arg.value}>` : null;
}

function optionLines(args: Args): string {
  return Object.entries(args)
    .map(([name, arg]) => {
      const short = "short" in arg && arg.short !== undefined ? `-${arg.short}, ` : "";
      const value = "value" in arg ? ` <${arg.value}>` : "";
      return `- \`${short}${flagOf(name, arg)}${value}\`: ${arg.help}.`;
    })
    .join("\n");
}

function fenced(lines: readonly string[]): string {
  return ["```", ...lines, "```"].join("\n");
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return fallback;
  }
}

if (import.meta.main) {
  process.chdir(join(import.meta.dirname, ".."));
  for (const path of stalePages()) {
    writeFileSync(path, generatedPages[path]?.() ?? "");
    console.error(`written: ${path}`);
  }
}
