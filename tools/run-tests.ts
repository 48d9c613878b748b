import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../src/lib/errors.ts";
import { ensureMachineId, setUp } from "./setup.ts";
import { type Count, Tally, type VitestReport, oneOf } from "./test-report.ts";
import { Bed } from "./testbed/bed.ts";
import { buildImage } from "./testbed/image.ts";
import { bedPaths } from "./testbed/bed-paths.ts";

const results = ".cache/results";
const fixedSeeds = 200;
const chosenSeeds = 1800;

process.chdir(join(import.meta.dirname, ".."));
const tally = new Tally();
const running = new Set<ChildProcess>();
let interrupted = false;

type Ended = { readonly status: number; readonly output: string };

/** Runs a program of the tests; what it says is shown at once, or only kept. */
function program(args: readonly string[], shown: boolean): Promise<Ended> {
  if (interrupted) return Promise.resolve({ status: 130, output: "" });
  return new Promise((resolve) => {
    const child = spawn(args[0] ?? "", args.slice(1), {
      stdio: ["ignore", shown ? "inherit" : "pipe", shown ? "inherit" : "pipe"],
      env: { ...process.env, CI: "true", FORCE_COLOR: "0" },
    });
    running.add(child);
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => output.push(chunk));
    }
    const end = (status: number): void => {
      running.delete(child);
      resolve({ status, output: Buffer.concat(output).toString("utf8") });
    };
    child.on("error", () => end(127));
    child.on("close", (code) => end(code ?? 137));
  });
}

async function timed(what: string, work: () => Promise<void>): Promise<void> {
  const begun = Date.now();
  console.log(`\n== ${what}`);
  await work();
  console.log(`== ${what}: ${((Date.now() - begun) / 1000).toFixed(1)} s`);
}

async function check(name: string, ...command: string[]): Promise<void> {
  const { status, output } = await program(command, false);
  console.log(`${name}: ${status === 0 ? "ok" : `FAILED\n${output}`}`);
  tally.add("checks", oneOf(status === 0));
}

async function vitest(project: string): Promise<void> {
  const kind = project === "spans" ? "acceptance" : project;
  const file = `${results}/${project}.json`;
  rmSync(file, { force: true });
  const { status } = await program(
    [
      process.execPath,
      "node_modules/vitest/vitest.mjs",
      "run",
      "--project",
      project,
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${file}`,
    ],
    true,
  );
  tally.addVitest(kind, existsSync(file) ? readReport(file) : null, status);
}

function readReport(file: string): VitestReport {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- vitest's own reporter wrote it
  return JSON.parse(readFileSync(file, "utf8")) as VitestReport;
}

/**
 * Seeds 1 to 200 are always the same; the others follow from the commit, so they differ and replay.
 */
async function seeds(): Promise<void> {
  const first = 1000 + (await commitNumber());
  const half = chosenSeeds / 2;
  await Promise.all([
    simulate(1, fixedSeeds).then(() => simulate(first, half)),
    simulate(first + half, half),
  ]);
}

async function simulate(seed: number, runs: number): Promise<void> {
  const args = ["tools/sim.ts", "--seed", String(seed), "--runs", String(runs)];
  const { status, output } = await program([process.execPath, ...args], false);
  const tail = output.trim().split("\n").slice(-40).join("\n");
  console.log(`${runs} seeds from ${seed}: ${status === 0 ? "ok" : `FAILED (${status})`}\n${tail}`);
  tally.add("seeds", status === 0 ? { passed: runs, failed: 0 } : { passed: 0, failed: 1 });
}

async function commitNumber(): Promise<number> {
  const { status, output } = await program(["git", "rev-parse", "HEAD"], false);
  // A tree without its history is as good a source: its lock file differs between releases.
  const source = status === 0 ? output : readFileSync("package-lock.json", "utf8");
  return createHash("sha256").update(source).digest().readUInt32BE(0);
}

/** A planted bug must be found: exit status 1 exactly, neither 0 nor a crash. */
async function mutants(): Promise<void> {
  const listed = await program([process.execPath, "tools/sim.ts", "--list-mutants"], false);
  if (listed.status !== 0) return;
  const names = listed.output.split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "");
  const waiting = names.filter((name) => name !== "");
  const worker = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const ended = await program([process.execPath, "tools/sim.ts", "--mutant", name], false);
      tally.add("mutants", oneOf(ended.status === 1));
      const tail = ended.output.trim().split("\n").slice(-15).join("\n");
      const outcome = ended.status === 1 ? "found" : `NOT FOUND (status ${ended.status})\n${tail}`;
      console.log(`mutant ${name}: ${outcome}`);
    }
  };
  await Promise.all([worker(), worker()]);
}

/** Removes hosts that tests left which were killed, this time or at any time before. */
async function removeHosts(): Promise<void> {
  const { beds } = bedPaths(process.cwd(), "");
  const names = existsSync(beds) ? readdirSync(beds) : [];
  const purposes = names.map((name) => name.replace(/\.lock$/, ""));
  for (const purpose of purposes.filter((name) => name !== "demo")) {
    const bed = new Bed({ purpose, checkout: process.cwd() });
    if (bed.busyWith() === null) await bed.down();
  }
}

function stopWhenInterrupted(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted = true;
      for (const child of running) child.kill("SIGTERM");
      setTimeout(() => {
        for (const child of running) child.kill("SIGKILL");
      }, 5_000).unref();
    });
  }
}

async function runAll(): Promise<Count> {
  mkdirSync(results, { recursive: true });
  await timed("types, lint and format", async () => {
    await check("types", "node_modules/.bin/tsc", "--noEmit");
    await check("lint", "node_modules/.bin/oxlint", "--deny-warnings");
    await check("format", "node_modules/.bin/oxfmt", "--check", ".");
  });
  await timed("unit and property tests", () => vitest("unit"));
  await timed("seeds", seeds);
  await timed("mutants", mutants);
  await timed("integration tests", () => vitest("integration"));
  // The spans are minutes of waiting, in which the others have the machine.
  await timed("acceptance tests", async () => {
    await Promise.all([vitest("acceptance"), vitest("spans")]);
  });
  console.log("\n== summary");
  for (const line of tally.lines().slice(0, -1)) console.log(line);
  return tally.total();
}

try {
  stopWhenInterrupted();
  await setUp();
  ensureMachineId("/etc/machine-id");
  // Programs in node_modules/.bin ask for `node`, and mean this one.
  process.env["PATH"] = `${join(process.execPath, "..")}:${process.env["PATH"] ?? ""}`;
  const checkout = bedPaths(process.cwd(), "image");
  await buildImage(checkout);
  await removeHosts();
  const { failed } = await runAll();
  await removeHosts();
  console.log(tally.lines().at(-1));
  process.exitCode = interrupted ? 130 : failed === 0 ? 0 : 1;
} catch (error) {
  console.error(`flocker: ${messageOf(error)}`);
  process.exitCode = 1;
}
