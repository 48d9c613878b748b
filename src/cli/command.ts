import type { ApiClient } from "../client/api-client.ts";

/** What the person typed is wrong: exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A word in its place; must be given. */
export type Positional<T> = {
  readonly kind: "positional";
  readonly help: string;
  readonly parse: (text: string) => T;
};
/** A word in its place that may be left out; undefined without it. */
export type OptionalWord<T> = {
  readonly kind: "optional";
  readonly help: string;
  readonly parse: (text: string) => T;
};
/** Any number of words, the last ones of the line. */
export type Words<T> = {
  readonly kind: "words";
  readonly help: string;
  readonly parse: (text: string) => T;
};
/** `-x, --name <value>`; undefined when not given, unless it is required. */
export type Option<T> = {
  readonly kind: "option" | "required";
  readonly short?: string;
  readonly value: string;
  readonly help: string;
  readonly parse: (text: string) => T;
};
/** `-x, --name`; false when not given. */
export type Flag = { readonly kind: "flag"; readonly short?: string; readonly help: string };

type Placed = Positional<unknown> | OptionalWord<unknown> | Words<unknown>;
export type Args = Readonly<Record<string, Placed | Option<unknown> | Flag>>;
type Value<A> = A extends { kind: "flag" }
  ? boolean
  : A extends { kind: "words"; parse: (text: string) => infer T }
    ? readonly T[]
    : A extends { kind: "option" | "optional"; parse: (text: string) => infer T }
      ? T | undefined
      : A extends { parse: (text: string) => infer T }
        ? T
        : never;
export type Parsed<A extends Args> = { readonly [K in keyof A]: Value<A[K]> };

/** What the parser found, by the names of the args; flags as booleans. */
export type RawValues = Readonly<Record<string, unknown>>;

/** A command as the parser, the help and the reference page see it. */
export type Command<Context> = {
  /** One word, or two: a noun and a verb. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  /** Paragraphs for `--help` and the reference. */
  readonly details: readonly string[];
  readonly examples: readonly string[];
  readonly args: Args;
  /** Checks the values, then gives what to run. Wrong ones are a `UsageError`. */
  readonly prepare: (raw: RawValues) => (context: Context) => Promise<void>;
};

export type Definition<A extends Args, Context> = {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly details?: readonly string[];
  readonly examples: readonly string[];
  readonly args: A;
  readonly run: (args: Parsed<A>, context: Context) => Promise<void>;
};

/** Help, parser and reference page are all made from this value. */
export function command<const A extends Args, Context>(
  definition: Definition<A, Context>,
): Command<Context> {
  const { run, ...described } = definition;
  return {
    aliases: [],
    details: [],
    ...described,
    prepare: (raw) => {
      const values = parseArgs(definition.args, raw);
      return async (context) => await run(values, context);
    },
  };
}

/** The values of `args`, each parsed by its own function. */
export function parseArgs<A extends Args>(args: A, raw: RawValues): Parsed<A> {
  const entries = Object.entries(args).map(([name, arg]) => [name, parseOne(name, arg, raw[name])]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- built from `args` itself
  return Object.fromEntries(entries) as Parsed<A>;
}

function parseOne(name: string, arg: Args[string], raw: unknown): unknown {
  if (arg.kind === "flag") return raw === true;
  if (arg.kind === "words") {
    const words: readonly unknown[] = Array.isArray(raw) ? raw : [];
    return words.map((word) => parseText(name, arg, String(word)));
  }
  if (typeof raw === "string") return parseText(name, arg, raw);
  if (arg.kind === "option" || arg.kind === "optional") return undefined;
  throw new UsageError(`must specify ${flagOf(name, arg)}`);
}

function parseText(name: string, arg: Placed | Option<unknown>, raw: string): unknown {
  try {
    return arg.parse(raw);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof EmptyError) throw new UsageError(`${flagOf(name, arg)} is empty`);
    throw new UsageError(error.message, { cause: error });
  }
}

/** How it is written on a command line: `--control-service`, `<node>`, `[node]` or `[node...]`. */
export function flagOf(name: string, arg: Args[string]): string {
  if (!isPlaced(arg)) return flagNamed(name);
  if (arg.kind === "positional") return `<${dashed(name)}>`;
  return arg.kind === "words" ? `[${dashed(name)}...]` : `[${dashed(name)}]`;
}

/** Known by its place on the line, not by a name. */
export function isPlaced(arg: Args[string]): arg is Placed {
  return arg.kind === "positional" || arg.kind === "optional" || arg.kind === "words";
}

export function flagNamed(name: string): string {
  return `--${dashed(name)}`;
}

function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Whoever knows the name of the argument says it. */
class EmptyError extends UsageError {}

/** For arguments that are any text but the empty one. */
export function nonEmpty(text: string): string {
  if (text === "") throw new EmptyError("a value is empty");
  return text;
}

/** Standard output is the answer, standard error is talk. */
export interface Output {
  /** Whether a person reads the answer; else a program does, and it stays one line a row. */
  readonly terminal: boolean;
  /** The result: `value` as one line of JSON after `--json`, else `text` as it stands. */
  answer(value: unknown, text: () => string): void;
  /** A line for the person, never for a program. */
  talk(line: string): void;
}

/** What the commands of flockerctl get. */
export type CliContext = {
  readonly output: Output;
  /** Finds the certificates and the control service; connects on the first call. */
  readonly connect: () => Promise<ApiClient>;
  /**
   * Resolves once a person typed `word`; with `yes`, at once. Anything else is an error: without a
   * terminal nobody is asked.
   */
  readonly confirm: (question: string, word: string, yes: boolean) => Promise<void>;
};
