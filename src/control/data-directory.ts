import { join } from "node:path";
import { FlockerError } from "../lib/errors.ts";
import { makeDirectory, systemReason } from "../lib/system.ts";

/** The database of a control service below its data path. */
export function storePath(dataPath: string): string {
  return join(dataPath, "store.sqlite");
}

/** Makes the directory if there is none; `CONFIGURATION_INVALID` says what is wrong with it. */
export async function makeDataDirectory(dataPath: string): Promise<void> {
  try {
    await makeDirectory(dataPath, 0o700);
  } catch (cause) {
    throw new FlockerError(
      "CONFIGURATION_INVALID",
      `The data path ${dataPath} cannot be used: ${systemReason(cause)}. Make it a directory that ` +
        "this user can write to, or name another one with --data-path.",
      { cause, details: { dataPath } },
    );
  }
}
