import { connect } from "node:net";
import { chmod, lstat, readdir, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { FlockerError } from "../lib/errors.ts";
import { makeDirectory } from "../lib/system.ts";

const pathBytesMax = 107; // sun_path of unix(7), less its terminating zero.
const probeMsMax = 2_000;

/**
 * Makes `path` free for a server: its directory exists and is nobody else's, and what a killed
 * server left there is removed. A server that lives is `PORT_IN_USE`; it is never displaced.
 */
export async function claimSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > pathBytesMax) {
    throw unusable(`the path of a socket has at most ${pathBytesMax} bytes: ${path}`);
  }
  await claimDirectory(dirname(path), basename(path));
  const found = await lstat(path).catch(nullIfMissing);
  if (found === null) return;
  if (!found.isSocket()) throw unusable(`${path} exists and is not a socket`);
  if (await isServed(path)) {
    throw new FlockerError(
      "PORT_IN_USE",
      `another process serves ${path}; is a Flocker agent running already?`,
    );
  }
  await rm(path, { force: true });
}

/** A directory with nothing but our socket is ours; another must at least be safe. */
async function claimDirectory(directory: string, socket: string): Promise<void> {
  await makeDirectory(directory, 0o700);
  const ours = (await readdir(directory)).every((name) => name === socket);
  if (ours) {
    await chmod(directory, 0o700);
    return;
  }
  const { mode, uid } = await lstat(directory);
  if ((mode & 0o022) !== 0 || ![0, process.geteuid?.()].includes(uid)) {
    throw unusable(
      `others than root can write to ${directory}, where the plugin's socket is to be`,
    );
  }
}

/** Whether somebody accepts connections. Only a refusal proves that nobody does. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (served: boolean): void => {
      socket.destroy();
      resolve(served);
    };
    socket.setTimeout(probeMsMax, () => answer(true));
    socket.on("connect", () => answer(true));
    socket.on("error", (error) => {
      const code = "code" in error ? error.code : null;
      answer(code !== "ECONNREFUSED" && code !== "ENOENT");
    });
  });
}

function unusable(message: string): FlockerError {
  return new FlockerError("CONFIGURATION_INVALID", message);
}

function nullIfMissing(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}
