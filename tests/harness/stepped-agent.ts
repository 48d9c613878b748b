import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { createLogger } from "../../src/lib/log.ts";
import { agentPaths, runAgent } from "../../src/main/agent.ts";
import type { OnStep } from "../../src/planner/steps.ts";

/**
 * The agent, as `flocker agent` runs it, that stands still at one step of `stepTable`:
 *
 *   node tests/harness/stepped-agent.ts AGENT.YML DIRECTORY
 *
 * `DIRECTORY/stop-at` holds `before seal_live.seal`, or nothing. The agent that comes there makes
 * `DIRECTORY/reached` and waits until `stop-at` says something else: who waits for that file can
 * kill whomever it wants in between.
 */
const [, , config = "/etc/flocker/agent.yml", directory = "/run/flocker-steps"] = process.argv;
const stopAt = `${directory}/stop-at`;
const reached = `${directory}/reached`;
const pollMs = 20;

function isStop(place: string): boolean {
  return existsSync(stopAt) && readFileSync(stopAt, "utf8").trim() === place;
}

const onStep: OnStep = async (step, when) => {
  const place = `${when} ${step}`;
  if (!isStop(place)) return;
  writeFileSync(reached, `${place}\n`);
  while (isStop(place)) await wait(pollMs);
};

const { promise: stopped, resolve } = Promise.withResolvers<void>();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
const log = createLogger("info", { service: "agent" });
process.exitCode = await runAgent({ config, ...agentPaths }, log, stopped, onStep);
