import {
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Plugin, build } from "esbuild";

/** Program name and the composition root that is bundled for it. */
export const entries: Readonly<Record<string, string>> = {
  flocker: "src/main/flocker.ts",
  flockerctl: "src/main/flockerctl.ts",
  "flocker-ca": "src/main/flocker-ca.ts",
};

const stamp = "dist/.built";

/** The composition roots that do not exist. */
export function missingEntries(): readonly string[] {
  return Object.values(entries).filter((entry) => !existsSync(entry));
}

/**
 * Bundles the programs into `dist/*.mjs`, which `bin/*` start. They appear whole or not at all: a
 * running cluster may start one at any moment.
 */
export async function buildBundles(): Promise<void> {
  const missing = missingEntries();
  if (missing.length > 0) throw new Error(`cannot build: ${missing.join(", ")} missing`);
  if (!sourcesChanged()) return;
  const startedAt = new Date();
  await build({
    entryPoints: { ...entries },
    outdir: "dist/.new",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    // What a command does not need is not even parsed: `flockerctl ls --help` starts twice as fast.
    splitting: true,
    platform: "node",
    target: "node24",
    format: "esm",
    sourcemap: "linked",
    logLevel: "error",
    plugins: [withoutUnusedTransports],
    banner: { js: commonJsBanner },
  });
  for (const name of partsFirst(readdirSync("dist/.new"))) {
    renameSync(`dist/.new/${name}`, `dist/${name}`);
  }
  writeFileSync(stamp, `${startedAt.toISOString()}\n`);
}

/** A program must not appear before its parts. Old parts stay: an agent that runs may load one. */
function partsFirst(names: readonly string[]): readonly string[] {
  return [...names.filter((name) => !isProgram(name)), ...names.filter(isProgram)];
}

function isProgram(name: string): boolean {
  return Object.hasOwn(entries, name.replace(/\.mjs$/, ""));
}

/** Some dependencies are CommonJS: they call `require` for built-in modules. */
const commonJsBanner = [
  'import { createRequire as __createRequire } from "node:module";',
  "const require = __createRequire(import.meta.url);",
  "const __filename = import.meta.filename;",
  "const __dirname = import.meta.dirname;",
].join("\n");

/** dockerode can also speak ssh and BuildKit's gRPC; an engine's socket needs neither. */
const withoutUnusedTransports: Plugin = {
  name: "without-unused-transports",
  setup(bundle) {
    const filter = /^(?:ssh2|@grpc\/grpc-js|@grpc\/proto-loader)$/;
    bundle.onResolve({ filter }, ({ path }) => ({ path, namespace: "unused" }));
    bundle.onLoad({ filter: /./, namespace: "unused" }, () => ({
      contents: "module.exports = {};",
    }));
  },
};

/** Whether anything that goes into the bundles is younger than them, or was removed. */
function sourcesChanged(): boolean {
  if (!existsSync(stamp)) return true;
  const builtAtMs = Date.parse(readStamp());
  const outputs = Object.keys(entries).map((name) => `dist/${name}.mjs`);
  if (outputs.some((output) => !existsSync(output))) return true;
  const paths = readdirSync("src", { recursive: true, encoding: "utf8" });
  // A removed file changes the time of its directory.
  const inputs = ["src", ...paths.map((path) => join("src", path)), "package-lock.json"];
  return [...inputs, "tools/build.ts"].some((path) => statSync(path).mtimeMs >= builtAtMs);
}

function readStamp(): string {
  return readFileSync(stamp, "utf8").trim();
}

if (import.meta.main) {
  process.chdir(join(import.meta.dirname, ".."));
  try {
    await buildBundles();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
