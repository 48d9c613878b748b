import { Marks } from "../src/sim/marks.ts";
import { simulate } from "../src/sim/simulate.ts";

const args = process.argv.slice(2);
const numberOf = (name: string, otherwise: number): number => {
  const at = args.indexOf(name);
  const value = at < 0 ? otherwise : Number(args[at + 1]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`sim: ${name} takes a whole number, not ${args[at + 1] ?? "nothing"}`);
  return process.exit(2);
};
const first = numberOf("--seed", 1);
const runs = numberOf("--runs", 1);
const trace = args.includes("--trace") ? { trace: (line: string) => console.log(line) } : {};

console.log(`sim: first seed ${first}, ${runs} runs`);
const marks = new Marks();
const begunMs = performance.now();
const judged = new Map<string, number>();
for (let seed = first; seed < first + runs; seed += 1) {
  const { violation, judged: ofSeed } = await simulate(seed, { marks, ...trace });
  for (const [name, count] of ofSeed) judged.set(name, (judged.get(name) ?? 0) + count);
  if (violation === null) continue;
  console.log(`sim: seed ${seed} violates ${violation.checker}: ${violation.message}`);
  console.log(`sim: replay with: npm run sim -- --seed ${seed} --trace`);
  process.exit(1);
}
const spentMs = performance.now() - begunMs;
console.log(`sim: judged ${[...judged].map(([name, count]) => `${name} ${count}`).join(", ")}`);
console.log(`sim: no violation; ${(spentMs / Math.max(1, runs)).toFixed(1)} ms a seed`);
