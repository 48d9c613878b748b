import { readFile } from "node:fs/promises";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { VolumeRef } from "../../domain/ids.ts";
import { writeDurably } from "../../lib/durable-file.ts";
import { FlockerError } from "../../lib/errors.ts";
import { exec, type ExecResult } from "../../lib/exec.ts";
import type { Call } from "../attachable.ts";
import { lookScript, openScript, sanStatus } from "./san-scripts.ts";

const label = Type.Object({
  clusterId: Type.String(),
  datasetId: Type.String(),
  op: Type.String(),
  sizeBytes: Type.Integer(),
});
const record = Type.Object({
  node: Type.String(),
  era: Type.String(),
  generation: Type.Integer(),
});
export type Label = Static<typeof label>;
export type AttachmentRecord = Static<typeof record>;
/** What this node remembers of the SAN that it used. */
const registered = Type.Object({
  rootPath: Type.String(),
  path: Type.String(),
  sanText: Type.String(),
});
type Registered = Static<typeof registered>;
const registeredCheck = Compile(registered);
const labelCheck = Compile(label);
const recordCheck = Compile(record);

/** One volume as its files are; parts may be missing. */
export type Found = {
  readonly ref: string;
  readonly label: Label | null;
  /** Size of the image; null when there is none. */
  readonly imageBytes: number | null;
  /** The record and its text, which changes are compared with; null and "" for none. */
  readonly attachment: AttachmentRecord | null;
  readonly attachmentText: string;
};

/** A directory that stands for a SAN: the only door to its files. */
export class San {
  readonly rootPath: string;
  readonly #sanText: string;
  readonly #registry: string;

  private constructor(rootPath: string, sanText: string, registry: string) {
    this.rootPath = rootPath;
    this.#sanText = sanText;
    this.#registry = registry;
  }

  /**
   * Makes the layout on first use; `sanId` is the identity that a new one gets. `registry` is a file
   * on this node's own disk that remembers it: from then on a directory that is missing is never
   * made again, and the agent starts without touching it.
   */
  static async open(rootPath: string, sanId: string, registry: string): Promise<San> {
    const known = await readRegistry(registry);
    if (known?.rootPath === rootPath) return new San(known.path, known.sanText, registry);
    const args = ["-euc", openScript, "san", rootPath, JSON.stringify({ layout: 1, sanId })];
    const { stdout } = await exec("sh", args, { deadlineMs: 30_000 });
    const [path = rootPath, sanText = ""] = stdout.split("\n");
    const text = JSON.stringify({ rootPath, path, sanText } satisfies Registered);
    await writeDurably(registry, `${text}\n`);
    return new San(path, sanText, registry);
  }

  /** Runs one of the scripts; statuses of `expected` are returned, others thrown. */
  async run(
    script: string,
    args: readonly string[],
    call: Call,
    expected: readonly number[] = [],
  ): Promise<ExecResult> {
    const { otherSan, locked } = sanStatus;
    const argv = ["-euc", script, "san", this.rootPath, this.#sanText, ...args];
    const result = await exec("sh", argv, {
      signal: call.signal,
      deadlineMs: call.deadlineMs,
      lockFile: call.lockFile,
      okStatuses: [otherSan, locked, ...expected],
      outputBytesMax: 64 * 2 ** 20,
    });
    if (result.status === otherSan) {
      throw new FlockerError(
        "BACKEND_UNAVAILABLE",
        `${this.rootPath} is not the storage that this agent began with (is it mounted?). If it was ` +
          `replaced for good: remove ${this.#registry} and start the agent again.`,
        { details: { rootPath: this.rootPath } },
      );
    }
    if (result.status === locked) {
      throw new FlockerError("BACKEND_UNAVAILABLE", `${this.rootPath}/lock is held for too long.`);
    }
    return result;
  }

  /** What there is for references that fit a shell pattern; direct, never from memory. */
  async look(pattern: string, call: Call): Promise<readonly Found[]> {
    const { stdout } = await this.run(lookScript, [pattern], call);
    const found = new Map<string, Found>();
    for (const line of stdout.split("\n")) {
      const [kind, file = "", text = ""] = line.split("\t");
      const ref = file.replace(/^.*\//, "").replace(/\.(?:img|json)$/, "");
      const before = found.get(ref) ?? nothingFound(ref);
      if (kind === "image") found.set(ref, { ...before, imageBytes: Number(text) });
      if (kind === "label") found.set(ref, { ...before, label: parseLabel(ref, text) });
      if (kind === "record") found.set(ref, { ...before, ...parseRecord(file, text) });
    }
    return [...found.values()];
  }

  async lookAt(ref: VolumeRef, call: Call): Promise<Found> {
    const nothing = nothingFound(ref);
    if (!/^[0-9a-f-]{73}$/.test(ref)) return nothing; // Nothing that this driver ever made.
    return (await this.look(ref, call)).find((found) => found.ref === ref) ?? nothing;
  }
}

/** Null before the first use. A file that cannot be understood is an error, never a first use. */
async function readRegistry(file: string): Promise<Registered | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
  const value = parseJson(text);
  if (registeredCheck.Check(value)) return value;
  throw new FlockerError(
    "BACKEND_UNAVAILABLE",
    `${file}, which remembers this pool's storage, is damaged; remove it once the storage is there.`,
  );
}

function nothingFound(ref: string): Found {
  return { ref, label: null, imageBytes: null, attachment: null, attachmentText: "" };
}

/** A label of other ids than the file's name is none: somebody exchanged the files. */
function parseLabel(ref: string, text: string): Label | null {
  const value = parseJson(text);
  if (!labelCheck.Check(value)) return null;
  return ref === `${value.datasetId}-${value.op}` ? value : null;
}

function parseRecord(file: string, text: string): Pick<Found, "attachment" | "attachmentText"> {
  const value = parseJson(text);
  if (recordCheck.Check(value)) return { attachment: value, attachmentText: text };
  throw new FlockerError("BACKEND_REJECTED", `The attachment's record ${file} is damaged.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
