import { mkdtemp, mkdir, readFile, rm } from "node:fs/promises";
import { resolve } from "node:path";
import type { CaseOutcome, Tried } from "../backends/conformance/driver-bench.ts";
import { tryDriver } from "../backends/conformance/driver-bench.ts";
import { checkOptions, findDriver } from "../backends/registry.ts";
import type { Output } from "../cli/command.ts";
import { parseYaml } from "../cli/parse-yaml.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import { exec } from "../lib/exec.ts";
import { readMountinfo } from "../lib/mountinfo.ts";

/**
 * Runs every case of the driver's port against it and tells the outcome. True if none failed.
 * What the driver mounted below its run directory is unmounted at the end.
 */
export async function testDriver(
  name: string,
  config: string | undefined,
  output: Output,
): Promise<boolean> {
  if (process.getuid?.() !== 0) {
    throw new FlockerError("NOT_ROOT", "The cases use devices and mounts; run them as root.");
  }
  const driver = await findDriver(name.startsWith(".") ? resolve(name) : name);
  const { here, there } = config === undefined ? { here: {}, there: {} } : await readConfig(config);
  for (const options of [here, there]) checkOptions(driver, options);
  await mkdir("/run/flocker", { recursive: true, mode: 0o700 });
  const directory = await mkdtemp("/run/flocker/driver-test-");
  try {
    const outcomes = await runAll({ driver, here, there, directory }, output);
    const count = (outcome: CaseOutcome["outcome"]): number =>
      outcomes.filter((one) => one.outcome === outcome).length;
    const counts = {
      driver: driver.name,
      passed: count("passed"),
      failed: count("failed"),
      leftOut: count("left_out"),
    };
    output.answer({ ...counts, cases: outcomes }, () => textOf(counts, outcomes));
    return counts.failed === 0 && counts.passed > 0;
  } finally {
    await unmountBelow(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

async function runAll(tried: Tried, output: Output): Promise<readonly CaseOutcome[]> {
  const outcomes: CaseOutcome[] = [];
  for await (const outcome of tryDriver(tried)) {
    outcomes.push(outcome);
    output.talk(`${labels[outcome.outcome]}  ${outcome.name}`);
  }
  return outcomes;
}

const labels: Readonly<Record<CaseOutcome["outcome"], string>> = {
  passed: "passed  ",
  failed: "FAILED  ",
  left_out: "left out",
};

function textOf(
  counts: { readonly passed: number; readonly failed: number; readonly leftOut: number },
  outcomes: readonly CaseOutcome[],
): string {
  const failed = outcomes.filter(({ outcome }) => outcome === "failed").map(failureText);
  const { passed, failed: count, leftOut } = counts;
  return `${failed.join("")}${passed} passed, ${count} failed, ${leftOut} left out\n`;
}

function failureText({ name, sentence, calls, difference }: CaseOutcome): string {
  const lines = calls.map(
    ({ node, operation, args, outcome, durationMs }) =>
      `    ${node}: ${operation}(${args})\n      -> ${outcome} (${durationMs} ms)`,
  );
  return [
    `FAILED  ${name}`,
    "  The contract says:",
    `    ${sentence}`,
    "  What the driver was asked, and what it did:",
    ...(lines.length === 0 ? ["    nothing"] : lines),
    "  The difference:",
    ...(difference ?? "").split("\n").map((line) => `    ${line}`),
    "",
    "",
  ].join("\n");
}

type Options = Readonly<Record<string, unknown>>;

/** The driver's keys as in agent.yml, or one such mapping for each of two nodes. */
async function readConfig(path: string): Promise<{ here: Options; there: Options }> {
  const value = await readMapping(path);
  const { here, there, ...others } = value;
  if (here === undefined && there === undefined) return { here: value, there: value };
  if (isMapping(here) && isMapping(there) && Object.keys(others).length === 0) {
    return { here, there };
  }
  throw invalid(`${path} has to hold the driver's keys, or here and there with them, alone.`);
}

async function readMapping(path: string): Promise<Options> {
  let value: unknown;
  try {
    value = parseYaml(await readFile(path, "utf8"));
  } catch (cause) {
    throw new FlockerError(
      "CONFIGURATION_INVALID",
      `Configuration error: ${path} cannot be read: ${messageOf(cause)}`,
      { cause },
    );
  }
  if (isMapping(value)) return value;
  throw invalid(`${path} is no mapping of keys to values.`);
}

function isMapping(value: unknown): value is Options {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(sentence: string): FlockerError {
  return new FlockerError("CONFIGURATION_INVALID", `Configuration error: ${sentence}`);
}

async function unmountBelow(directory: string): Promise<void> {
  const mounts = await readMountinfo();
  const below = mounts.filter(({ mountPoint }) => mountPoint.startsWith(`${directory}/`));
  for (const { mountPoint } of below.toReversed()) {
    await exec("umount", ["--", mountPoint], { deadlineMs: 30_000 });
  }
}
