import { describe, expect, test } from "vitest";
import { parseAgentConfig } from "./config.ts";

const base = `version: 1
control-service: {hostname: "control.example.com"}
`;
const dataset = 'dataset: {backend: "loopback", root_path: "/san"}\n';

function refusal(text: string): string {
  try {
    parseAgentConfig(text);
    return "accepted";
  } catch (error) {
    return error instanceof Error ? error.message : "not an error";
  }
}

test("dataset is the pool named default; the port is 4524 unless said", () => {
  expect(parseAgentConfig(base + dataset)).toEqual({
    controlHost: "control.example.com",
    controlPort: 4524,
    pools: [
      {
        name: "default",
        backend: "loopback",
        defaultSizeBytes: undefined,
        options: { root_path: "/san" },
      },
    ],
    unknownNames: "deny",
  });
});

test("pools maps names to the same keys; default_size takes binary units", () => {
  const text = `${base}pools: {default: {backend: loopback}, fast: {backend: x, default_size: 2G}}`;
  const { pools } = parseAgentConfig(text);
  expect(pools.map(({ name, defaultSizeBytes }) => [name, defaultSizeBytes])).toEqual([
    ["default", undefined],
    ["fast", 2 * 2 ** 30],
  ]);
});

test("logging and other keys at the top are accepted, as in the original", () => {
  expect(refusal(`${base}${dataset}logging: {}\nelse: 1`)).toBe("accepted");
});

describe("each mistake is one sentence", () => {
  test.each([
    ["version: [", /not YAML at line 1/],
    ["", /must be a mapping/],
    ["- 1", /must be a mapping/],
    [base.replace("version: 1", "x: 1") + dataset, /Required key version is missing\.$/],
    [base.replace("1", "2") + dataset, /Key version must be 1, not 2/],
    [base.replace("1", '"1"') + dataset, /Key version must be 1, not "1"/],
    ["version: 1\n" + dataset, /Required key control-service is missing/],
    [`version: 1\ncontrol-service: {}\n${dataset}`, /Required key control-service\.hostname/],
    [base.replace("control.example.com", "-1") + dataset, /hostname must be a host name/],
    [
      `version: 1\ncontrol-service: {hostname: a, port: 1.1}\n${dataset}`,
      /port must be an integer/,
    ],
    [base, /Required key dataset is missing/],
    [`${base}dataset: 3`, /Key dataset must be a mapping/],
    [`${base}dataset: {}`, /Required key dataset\.backend is missing/],
    [`${base}dataset: {backend: 3}`, /dataset\.backend must be the name of a driver/],
    [`${base}${dataset}pools: {default: {backend: x}}`, /Both dataset and pools\.default/],
    [`${base}pools: {}`, /at least one pool/],
    [`${base}pools: {"a b": {backend: x}}`, /pool name "a b"/],
    [`${base}dataset: {backend: x, default_size: "1e9"}`, /default_size must be bytes/],
    [`${base}${dataset}unknown_names: maybe`, /unknown_names must be deny or hold/],
  ])("%j", (text, expected) => {
    expect(refusal(text)).toMatch(expected);
    expect(refusal(text)).toMatch(/^Configuration error: /);
  });
});
