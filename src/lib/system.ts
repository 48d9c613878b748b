import { mkdir, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { getSystemErrorMessage } from "node:util";
import { FlockerError, messageOf } from "./errors.ts";

/**
 * Makes a directory and those above it that are missing; one that is there stays as it is. Not
 * mkdir's `recursive`: below /proc and the like, where nothing can be made, that tries for ever.
 */
export async function makeDirectory(path: string, mode?: number): Promise<void> {
  try {
    await makeOne(path, mode);
  } catch (error) {
    const above = dirname(path);
    if (codeOf(error) !== "ENOENT" || above === path) throw error;
    await makeDirectory(above, mode);
    await makeOne(path, mode);
  }
}

async function makeOne(path: string, mode: number | undefined): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const isThere = codeOf(error) === "EEXIST" && (await stat(path)).isDirectory();
    if (!isThere) throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null;
}

/** What the operating system said, without Node.js's codes and names of calls around it. */
export function systemReason(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error);
  if ("syscall" in error && error.syscall === "getaddrinfo")
    return "no address of that name is known";
  return "errno" in error && typeof error.errno === "number"
    ? getSystemErrorMessage(error.errno)
    : messageOf(error);
}

/** What tells this machine from every other one. (machine-id(5)) */
export async function readMachineId(path = "/etc/machine-id"): Promise<string> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw noMachineId(path, cause);
  });
  const machineId = text.trim();
  if (machineId === "") throw noMachineId(path, null);
  return machineId;
}

function noMachineId(path: string, cause: unknown): FlockerError {
  return new FlockerError(
    "CONFIGURATION_INVALID",
    `${path} is missing or empty: it has to say which machine this is. Run ` +
      "systemd-machine-id-setup, or put 32 random hex digits there.",
    { cause },
  );
}
