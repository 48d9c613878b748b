import { describe, expect, test } from "vitest";
import { parseAgentConfig } from "./config.ts";

const old = `version: 1
control-service:
  hostname: "control.example.com"
  port: 4524
dataset:
  backend: "loopback"
  root_path: "/var/lib/flocker/loopback"
`;

/** The old file with one line (found by its beginning) replaced. */
function changed(start: string, line: string): string {
  return old
    .split("\n")
    .map((text) => (text.trim().startsWith(start) ? line : text))
    .join("\n");
}

describe("agent.yml", () => {
  test("of Flocker 1.15 describes the pool default", () => {
    expect(parseAgentConfig(old)).toEqual({
      controlHost: "control.example.com",
      controlPort: 4524,
      pools: [
        {
          name: "default",
          backend: "loopback",
          defaultSizeBytes: undefined,
          options: { root_path: "/var/lib/flocker/loopback" },
        },
      ],
      peerPort: 4525,
      peerBytesPerSecond: null,
      unknownNames: "deny",
      notices: [],
    });
  });

  test("may name several pools, and sizes with units", () => {
    const text = `version: 1
control-service: { hostname: 10.0.0.1 }
dataset: { backend: loopback }
pools:
  fast: { backend: aws, default_size: 2GiB, region: eu, zone: a }
  archive: { backend: /opt/driver.js, default_size: 104857600 }
unknown_names: hold
`;

    const configuration = parseAgentConfig(text);

    expect(configuration).toMatchObject({ controlHost: "10.0.0.1", controlPort: 4524 });
    expect(configuration.pools).toEqual([
      { name: "archive", backend: "/opt/driver.js", defaultSizeBytes: 104857600, options: {} },
      { name: "default", backend: "loopback", defaultSizeBytes: undefined, options: {} },
      {
        name: "fast",
        backend: "aws",
        defaultSizeBytes: 2 * 2 ** 30,
        options: { region: "eu", zone: "a" },
      },
    ]);
    expect(configuration.unknownNames).toBe("hold");
  });

  test("says how streams to other nodes pass", () => {
    const text = `${old}peer_port: 4600\npeers: { bytes_per_second: 50M, retries: 3 }\n`;

    const configuration = parseAgentConfig(text);

    expect(configuration).toMatchObject({ peerPort: 4600, peerBytesPerSecond: 50 << 20 });
    expect(configuration.notices).toEqual([
      "agent.yml:9:33: the key retries is not known in peers and does nothing; known are " +
        "bytes_per_second.",
    ]);
  });

  test("need not say anything of pools", () => {
    const text = "version: 1\ncontrol-service: { hostname: 10.0.0.1 }\n";

    expect(parseAgentConfig(text).pools).toBe(null);
  });

  test("accepts keys that it does not know at the top, and says so", () => {
    const { notices } = parseAgentConfig(`${old}logging: { version: 1 }\nextra: 1\n`);

    expect(notices).toEqual([
      "agent.yml:9:1: the key extra is not known and does nothing; known are version, " +
        "control-service, dataset, pools, unknown_names, peer_port, peers, logging.",
      "agent.yml:8:1: the key logging is accepted and does nothing.",
    ]);
    expect(parseAgentConfig(`${old}logging: {}\n`).notices).toEqual([]);
  });

  test.each([
    ["version:", "version"],
    ["control-service:", "control-service"],
    ["hostname:", "control-service.hostname"],
    ["backend:", "dataset.backend"],
  ])("without %s says which key is missing", (start, key) => {
    const gone = changed(start, `${start.startsWith("h") || start.startsWith("b") ? "  " : ""}x:`);

    expect(() => parseAgentConfig(gone)).toThrow(
      `Configuration error: Required key ${key} is missing.`,
    );
  });

  test.each([
    ["version:", "version: 0", "1:1: Key version must be 1."],
    ["version:", "version: 2", "1:1: Key version must be 1."],
    ["version:", 'version: "1"', "1:1: Key version must be 1."],
    ["hostname:", '  hostname: "-1"', "3:3: Key control-service.hostname must be a host name"],
    ["hostname:", "  hostname: 7", "3:3: Key control-service.hostname must be a host name"],
    ["port:", "  port: 1.1", "4:3: Key control-service.port must be a whole number from 1"],
    ["port:", '  port: "4524"', "4:3: Key control-service.port must be a whole number from 1"],
    ["port:", "  port: 65536", "4:3: Key control-service.port must be a whole number from 1"],
    ["backend:", "  backend: 3", "6:3: Key dataset.backend must be the name of a driver"],
    ["root_path:", '  default_size: "1e9"', "7:3: Key dataset.default_size must be bytes, or"],
    ["root_path:", "  default_size: 0", "7:3: Key dataset.default_size must be bytes, or"],
    ["root_path:", "  default_size: 9007199254740993", "7:3: Key dataset.default_size must be"],
    ["root_path:", "unknown_names: no", "7:1: Key unknown_names must be deny or hold."],
    ["root_path:", "peer_port: 0", "7:1: Key peer_port must be a whole number from 1 to 65535"],
    ["root_path:", "peers: 50M", "7:1: Key peers must be a mapping of keys to values."],
    ["root_path:", "peers: { bytes_per_second: fast }", "7:10: Key peers.bytes_per_second must be"],
    ["root_path:", "version: 1", "7:1: Map keys must be unique"],
    ["root_path:", "pools: [1]", "7:1: Key pools must be a mapping of keys to values."],
    ["root_path:", "pools: { default: { backend: x } }", "7:10: Key pools.default and the key"],
    ["root_path:", "pools: { a b: { backend: x } }", "7:10: Key pools.a b is no name of a pool"],
    ["root_path:", "pools: { a: 1 }", "7:10: Key pools.a must be a mapping of keys to values."],
    ["root_path:", "  root_path: [", "8:1: Flow sequence in block collection must be"],
  ])("with %s %s is refused where it stands", (start, line, message) => {
    expect(() => parseAgentConfig(changed(start, line))).toThrow(
      `Configuration error: agent.yml:${message}`,
    );
  });

  test.each([
    ["", "The file"],
    ["- 1\n", "The file"],
    ["just text", "The file"],
  ])("that is no mapping (%j) is refused", (text, message) => {
    expect(() => parseAgentConfig(text)).toThrow(`${message} must be a mapping of keys`);
  });

  test("never shows the values of a pool in what it refuses", () => {
    const text = `${old}  secret: hunter2\n  default_size: hunter2\n`;

    expect(() => parseAgentConfig(text)).toThrow(/^(?!.*hunter2)/);
  });
});
