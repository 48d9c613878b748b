import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";

export type Fields = Readonly<Record<string, unknown>>;

/**
 * Structured events, one JSON object a line. `event` is `noun.past_participle`, listed in
 * `docs/reference/logs.md`; values are fields (camelCase, with units), never part of a sentence.
 */
export interface Logger {
  error(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  debug(event: string, fields?: Fields): void;
  /** A logger that adds `fields` to each event. */
  child(fields: Fields): Logger;
}

export type LogLevel = "error" | "warn" | "info" | "debug";

const secretKeys = ["password", "secret", "token", "key", "privateKey", "apiKey", "api_key"];

/** Writes to `destination` (standard error by default). Secrets are redacted by key, two deep. */
export function createLogger(
  level: LogLevel,
  fields: Fields = {},
  destination: DestinationStream | number = 2,
): Logger {
  const stream =
    typeof destination === "number"
      ? pino.destination({ fd: destination, sync: true })
      : destination;
  const root = pino(
    {
      level,
      messageKey: "event",
      base: { ...fields },
      timestamp: () => `,"at":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
        censor: "[redacted]",
      },
    },
    stream,
  );
  return wrap(root);
}

function wrap(sink: PinoLogger): Logger {
  return {
    error: (event, fields) => sink.error({ ...fields }, event),
    warn: (event, fields) => sink.warn({ ...fields }, event),
    info: (event, fields) => sink.info({ ...fields }, event),
    debug: (event, fields) => sink.debug({ ...fields }, event),
    child: (fields) => wrap(sink.child({ ...fields })),
  };
}

const nothing = (): void => {};

/** For tests, and for callers that were given no logger. */
export const silentLogger: Logger = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  child: () => silentLogger,
};
