import { expect, test } from "vitest";
import { parseEndpoint, parseLogLevel } from "./parse-settings.ts";

test.each([
  ["4523", null, 4523],
  ["tcp:4523", null, 4523],
  ["tcp:port=4523", null, 4523],
  ["tcp:4523:interface=10.0.0.5", "10.0.0.5", 4523],
  ["tcp:4523:interface=\\:\\:1", "::1", 4523],
])("%s is a port, as numbers and as the original wrote it", (text, host, port) => {
  expect(parseEndpoint(text)).toEqual({ host, port });
});

test.each(["", "x", "70000", "-1", "ssl:4523", "tcp:", "4523:interface="])(
  "'%s' is no port",
  (text) => expect(() => parseEndpoint(text)).toThrow("malformed port"),
);

test("a level that is none is refused, naming the levels", () => {
  expect(parseLogLevel("debug")).toBe("debug");
  expect(() => parseLogLevel("loud")).toThrow("error, warn, info, debug");
});
