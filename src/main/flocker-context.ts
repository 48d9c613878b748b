import type { CliContext, Output } from "../cli/command.ts";
import type { LogLevel, Logger } from "../lib/log.ts";

/** What the commands of `flocker` get from their process. */
export type FlockerContext = {
  readonly output: Output;
  readonly confirm: CliContext["confirm"];
  readonly createLog: (level: LogLevel, service: string) => Logger;
  /** From now on a signal does not end the process, but resolves this. */
  readonly untilStopped: () => Promise<void>;
  /** The exit status of a service that ended by itself. */
  readonly ended: (status: number) => void;
  /** Ends the process here and now. */
  readonly exit: (status: number) => never;
};
