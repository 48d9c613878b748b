import { readFileSync, readdirSync } from "node:fs";
import { Marks } from "../src/sim/marks.ts";
import type { Mutant } from "../src/sim/mutants/mutant.ts";
import { mutants } from "../src/sim/mutants/mutants.ts";
import { type Scenario, parseScenario, play } from "../src/sim/scenario.ts";
import { simulate } from "../src/sim/simulate.ts";

const args = process.argv.slice(2);
const seedsOfMutant = 2_000;
const runsThatMustHitAll = 20_000;

function textOf(name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
}

function numberOf(name: string, otherwise: number): number {
  const value = args.includes(name) ? Number(textOf(name)) : otherwise;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`sim: ${name} takes a whole number, not ${textOf(name) ?? "nothing"}`);
  return process.exit(2);
}

function scenarios(): readonly Scenario[] {
  const folder = new URL("../src/sim/scenarios/", import.meta.url);
  return readdirSync(folder)
    .filter((file) => file.endsWith(".txt"))
    .sort()
    .map((file) => parseScenario(file, readFileSync(new URL(file, folder), "utf8")));
}

/** Directed scenarios first, then seeds: 1 when the mutant was found, as for any violation. */
async function hunt(mutant: Mutant, first: number, runs: number): Promise<number> {
  const { traits, checker: only } = mutant;
  console.log(`sim: mutant ${mutant.name}: ${mutant.says}; ${mutant.checker} must find it`);
  for (const scenario of scenarios().filter((one) => one.mutants.includes(mutant.name))) {
    const violation = await play(scenario, { flaws: mutant.flaws(), only });
    if (violation === null) continue;
    console.log(`sim: killed by ${violation.checker} in ${scenario.name}: ${violation.message}`);
    return 1;
  }
  for (let seed = first; seed < first + runs; seed += 1) {
    const flaws = mutant.flaws();
    const { violation } = await simulate(seed, { marks: new Marks(), flaws, traits, only });
    if (violation === null) continue;
    console.log(`sim: killed by ${violation.checker} in seed ${seed}: ${violation.message}`);
    return 1;
  }
  console.log(`sim: mutant ${mutant.name} survived ${runs} seeds from ${first}`);
  return 0;
}

function counts(of: Iterable<readonly [string, number]>): string {
  return [...of].map(([name, count]) => `${name} ${count}`).join(", ");
}

async function sweep(first: number, runs: number): Promise<number> {
  const trace = args.includes("--trace") ? { trace: (line: string) => console.log(line) } : {};
  const marks = new Marks();
  const judged = new Map<string, number>();
  const begunMs = performance.now();
  let violations = 0;
  for (let seed = first; seed < first + runs; seed += 1) {
    const { violation, judged: ofSeed } = await simulate(seed, { marks, ...trace });
    for (const [name, count] of ofSeed) judged.set(name, (judged.get(name) ?? 0) + count);
    if (violation === null) continue;
    violations += 1;
    console.log(`sim: seed ${seed} violates ${violation.checker}: ${violation.message}`);
    console.log(`sim: replay with: npm run sim -- --seed ${seed} --trace`);
    if (!args.includes("--all")) return 1;
  }
  const spentMs = performance.now() - begunMs;
  console.log(`sim: judged ${counts(judged)}`);
  console.log(`sim: marks ${counts(marks.counts)}`);
  const found = violations === 0 ? "no violation" : `violations in ${violations} seeds`;
  console.log(`sim: ${found}; ${(spentMs / Math.max(1, runs)).toFixed(1)} ms a seed`);
  const blind = [...judged, ...marks.all()].filter(([, count]) => count === 0);
  if (runs < runsThatMustHitAll || blind.length === 0) return violations === 0 ? 0 : 1;
  console.log(`sim: never judged or hit: ${blind.map(([name]) => name).join(", ")}`);
  return 1;
}

async function main(): Promise<number> {
  if (args.includes("--list-mutants")) {
    for (const { name, checker, says } of mutants) console.log(`${name} ${checker} ${says}`);
    return 0;
  }
  const first = numberOf("--seed", 1);
  const name = textOf("--mutant");
  const runs = numberOf("--runs", name === undefined ? 1 : seedsOfMutant);
  console.log(`sim: first seed ${first}, ${runs} runs`);
  if (!args.includes("--mutant")) return sweep(first, runs);
  const mutant = mutants.find((one) => one.name === name);
  if (mutant !== undefined) return hunt(mutant, first, runs);
  console.error(`sim: no mutant ${name ?? ""}; --list-mutants names them`);
  return 2;
}

process.exitCode = await main();
