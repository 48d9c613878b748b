import type { Args, Command } from "./command.ts";

/** A program as a value: its commands and what they share. */
export type Program<Context> = {
  readonly name: string;
  readonly summary: string;
  readonly details: readonly string[];
  readonly examples: readonly string[];
  /** Options of the program itself: they may stand before or after the command's name. */
  readonly globals: Args;
  readonly commands: readonly Command<Context>[];
  /** Without a command: help, or an error that says so. */
  readonly withoutCommand: "help" | "error";
};

/** `--json` exists for every command of every program. */
export const jsonFlag = {
  kind: "flag",
  help: "Print the answer as one line of JSON",
} as const;
