import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import { FlockerError } from "../lib/errors.ts";
import { type CredentialPaths, readAuthority, writeCredential } from "./credential-files.ts";
import { type Subject, createAuthority, issue } from "./issue.ts";

/** Where the authority's files are read and where new ones are written. */
export type Directories = { readonly input: string; readonly output: string };
export type Created = CredentialPaths & { readonly base: string };

/** Makes `cluster.crt` and `cluster.key`; a directory holds one authority only. */
export async function initializeAuthority(
  directory: string,
  name: string,
  nowMs: number,
): Promise<Created> {
  checkText(name, "name");
  const paths = await writeCredential(directory, "cluster", await createAuthority(name, nowMs));
  return { base: "cluster", ...paths };
}

/** Makes `control-<hostname>.crt` and `.key`; clients may dial the host by this name or address. */
export async function createControlCredential(
  directories: Directories,
  hostname: string,
  nowMs: number,
): Promise<Created> {
  if (isIP(hostname) === 0 && !hostnamePattern.test(hostname)) {
    throw new FlockerError(
      "INVALID_ARGUMENT",
      `Invalid hostname: ${JSON.stringify(hostname)} is neither a host name nor an IP address`,
    );
  }
  return await create(directories, { kind: "control", hostname }, `control-${hostname}`, nowMs);
}

/** Makes `<uuid>.crt` and `.key` of a new node; the UUID is the node's id for ever. */
export async function createNodeCredential(
  directories: Directories,
  nowMs: number,
): Promise<Created> {
  const nodeId = randomUUID();
  return await create(directories, { kind: "node", nodeId }, nodeId, nowMs);
}

/** Makes `<username>.crt` and `.key`. */
export async function createUserCredential(
  directories: Directories,
  name: string,
  nowMs: number,
): Promise<Created> {
  checkText(name, "username");
  if (name.includes("/") || name === "." || name === "..") {
    throw new FlockerError("INVALID_ARGUMENT", "Invalid username: it must fit into a file name");
  }
  return await create(directories, { kind: "user", name }, name, nowMs);
}

async function create(
  { input, output }: Directories,
  subject: Subject,
  base: string,
  nowMs: number,
): Promise<Created> {
  const authority = await readAuthority(input);
  return { base, ...(await writeCredential(output, base, await issue(authority, subject, nowMs))) };
}

const label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
const hostnamePattern = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*\\.?$`, "i");
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const controlCharacters = /[\u0000-\u001f\u007f]/;

/** Arguments that are not UTF-8 arrive with U+FFFD, in Node.js. */
function checkText(text: string, what: string): void {
  if (text.includes("\uFFFD")) {
    throw new FlockerError("INVALID_ARGUMENT", `Invalid ${what}: Could not be converted to UTF-8`);
  }
  if (text === "" || controlCharacters.test(text)) {
    throw new FlockerError(
      "INVALID_ARGUMENT",
      `Invalid ${what}: it must have at least one character and no control characters`,
    );
  }
}
