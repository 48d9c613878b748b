import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** The steps of `npm run check`, cheapest first; the first that fails ends it with its status. */
const steps: readonly (readonly [name: string, ...command: string[]])[] = [
  ["types", "node_modules/.bin/tsc", "--noEmit"],
  ["lint", "node_modules/.bin/oxlint", "--deny-warnings"],
  ["format", "node_modules/.bin/oxfmt", "--check", "."],
  ["tests", "node_modules/.bin/vitest", "run", "--project", "unit", "--reporter=dot"],
  ["200 seeds", process.execPath, "tools/sim.ts", "--seed", "1", "--runs", "200"],
];

// Programs in node_modules/.bin ask for `node`, and mean this one.
process.env["PATH"] = `${join(process.execPath, "..")}:${process.env["PATH"] ?? ""}`;

for (const [name, command = "", ...args] of steps) {
  const begun = Date.now();
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (error !== undefined) console.error(`check: ${name}: ${error.message}`);
  const outcome = status === 0 ? "ok" : "FAILED";
  console.error(`check: ${name}: ${outcome} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  if (status !== 0) process.exit(status ?? 1);
}
