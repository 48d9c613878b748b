import { UsageError } from "../cli/command.ts";
import type { Endpoint } from "../control/listen.ts";
import type { LogLevel } from "../lib/log.ts";

/** `4523`, or as Flocker 1.15 wrote it: `tcp:4523`, `tcp:4523:interface=10.0.0.5`. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:tcp:)?(?:port=)?(\d{1,5})(?::interface=(.+))?$/.exec(text);
  const port = Number(match?.[1]);
  if (match === null || port > 65_535) {
    throw new UsageError(
      `malformed port '${text}': give a number up to 65535, or tcp:PORT:interface=ADDRESS`,
    );
  }
  return { host: match[2]?.replaceAll("\\:", ":") ?? null, port };
}

const levels = ["error", "warn", "info", "debug"] as const;

export function parseLogLevel(text: string): LogLevel {
  const found = levels.find((level) => level === text);
  if (found === undefined) {
    throw new UsageError(`unknown log level '${text}': it is one of ${levels.join(", ")}`);
  }
  return found;
}
