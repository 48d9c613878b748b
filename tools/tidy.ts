import { readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";

/** Which folders of `src` each folder may import besides itself, in the order to read the code. */
export const layers: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  domain: ["lib"],
  planner: ["lib", "domain"],
  protocol: ["lib", "domain"],
  backends: ["lib", "domain"],
  host: ["lib", "domain", "agent/core", "backends"],
  "control/core": ["lib", "domain", "planner", "protocol"],
  "control/conditions": ["lib", "domain", "protocol", "control/core"],
  control: ["lib", "domain", "planner", "protocol", "ca"],
  "agent/core": ["lib", "domain", "planner", "protocol", "backends"],
  "agent/local": ["lib", "domain", "planner", "protocol", "backends", "agent/core"],
  agent: ["lib", "domain", "planner", "protocol", "backends", "ca"],
  containers: ["lib", "domain"],
  "docker-plugin": ["lib", "domain", "agent/core"],
  ca: ["lib", "domain"],
  client: ["lib", "domain", "protocol"],
  cli: ["lib", "domain", "protocol", "client", "ca"],
  sim: [
    "lib",
    "domain",
    "planner",
    "protocol",
    "control/core",
    "control/conditions",
    "agent/core",
    "agent/local",
    "backends",
  ],
  main: ["*"],
};

/** The folder of `layers` that a file under `src` belongs to: the longest that fits. */
export function layerOf(file: string): string {
  const folder = dirname(file);
  const fits = Object.keys(layers).filter(
    (layer) => folder === layer || folder.startsWith(`${layer}/`),
  );
  return fits.sort((a, b) => b.length - a.length)[0] ?? "";
}

export type SourceFile = { readonly path: string; readonly text: string };

/** Every `.ts` below `root`, with paths relative to it, sorted. */
export function sourceFiles(root: string): readonly SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.includes("node_modules"))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

/** Imports that the table does not allow; a file of no layer is one too. */
export function layerViolations(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap(({ path, text }) => {
    const from = layerOf(path);
    if (from === "") return [`src/${path} is in no layer of tools/tidy.ts`];
    const allowed = layers[from] ?? [];
    const imports = [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)];
    return imports
      .map((match) => layerOf(normalize(join(dirname(path), match[1] ?? ""))))
      .filter((to) => to !== from && !allowed.includes("*") && !allowed.includes(to))
      .filter((to) => !to.startsWith(`${from}/`))
      .map((to) => `src/${path} (${from}) must not import ${to}`);
  });
}

const bannedNames = ["utils", "helpers", "common", "misc", "types", "manager", "index"];
const budgets = { lines: 400, testLines: 600, filesPerFolder: 15, parentSteps: 2, columns: 100 };

/** Sizes, names and leftovers that the linter does not look at. */
export function budgetViolations(files: readonly SourceFile[]): readonly string[] {
  return [
    ...files.flatMap((file) => fileViolations(file)),
    ...folderViolations(files.map(({ path }) => path)),
  ];
}

function fileViolations({ path, text }: SourceFile): string[] {
  const found: string[] = [];
  const lines = text.split("\n");
  const base = path.split("/").at(-1) ?? "";
  const isTest = base.endsWith(".test.ts");
  const linesMax = isTest ? budgets.testLines : budgets.lines;
  if (lines.length - 1 > linesMax)
    found.push(`${path}: ${lines.length - 1} lines, over ${linesMax}`);
  if (bannedNames.includes(base.split(".")[0] ?? ""))
    found.push(`${path}: a name that says nothing`);
  const steps = Math.max(
    0,
    ...[...text.matchAll(/from "((?:\.\.\/)+)/g)].map((m) => (m[1] ?? "").length / 3),
  );
  if (steps > budgets.parentSteps) found.push(`${path}: imports ${steps} folders up`);
  for (const [index, line] of lines.entries()) {
    const where = `${path}:${index + 1}`;
    if (/(?:\/\/|\*|#) *(?:TODO|FIXME|XXX)\b/.test(line)) found.push(`${where}: left for later`);
    if (/\b(?:it|test|describe)\.(?:skip|only|todo|skipIf|runIf)\b/.test(line))
      found.push(`${where}: a test that does not always run`);
    if (/property set [^"'`]*ro false/.test(line))
      found.push(`${where}: read-only is never flipped (a snapshot is promoted instead)`);
    if (line.length > budgets.columns && !/https?:|["`]/.test(line))
      found.push(`${where}: over ${budgets.columns} columns`);
  }
  return found;
}

/** Tests, and what only tests import: it is not in the way of who reads the folder. */
function isOfTests(path: string): boolean {
  return path.endsWith(".test.ts") || basename(path).startsWith("test-");
}

function folderViolations(paths: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const path of paths.filter((name) => !isOfTests(name))) {
    counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > budgets.filesPerFolder)
    .map(([folder, count]) => `${folder}: ${count} files, over ${budgets.filesPerFolder}`);
}
