import { X509Certificate, createPrivateKey } from "node:crypto";
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { getSystemErrorMessage } from "node:util";
import { syncDirectory } from "../lib/durable-file.ts";
import { FlockerError, messageOf } from "../lib/errors.ts";
import type { Credential } from "./issue.ts";

export type CredentialPaths = { readonly certificate: string; readonly key: string };

/** The two files of a credential: `<base>.crt` and `<base>.key`. */
export function credentialPaths(directory: string, base: string): CredentialPaths {
  return { certificate: join(directory, `${base}.crt`), key: join(directory, `${base}.key`) };
}

/**
 * Writes `<base>.crt`, then `<base>.key`, mode 0600, durably. An existing file is never touched: a
 * lost key cannot be made again. If the key cannot be written, the new certificate is taken back.
 */
export async function writeCredential(
  directory: string,
  base: string,
  credential: Credential,
): Promise<CredentialPaths> {
  const paths = credentialPaths(directory, base);
  await writeNew(paths.certificate, credential.certificate, "Unable to write certificate file.");
  try {
    await writeNew(paths.key, credential.key, "Unable to write private key file.");
  } catch (error) {
    await rm(paths.certificate, { force: true });
    throw error;
  }
  await syncDirectory(directory);
  return paths;
}

async function writeNew(path: string, text: string, what: string): Promise<void> {
  const file = await openNew(path, what);
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw failure(what, error, path);
  } finally {
    await file.close();
  }
}

async function openNew(path: string, what: string): Promise<FileHandle> {
  try {
    return await open(path, "wx", 0o600);
  } catch (error) {
    throw failure(what, error, path);
  }
}

/** Reads `cluster.crt` and `cluster.key`, ours or Flocker 1.15's, and checks that they fit. */
export async function readAuthority(directory: string): Promise<Credential> {
  const paths = credentialPaths(directory, "cluster");
  const authority = {
    certificate: await readAuthorityFile(paths.certificate),
    key: await readAuthorityFile(paths.key),
  };
  if (!fits(authority, paths)) {
    throw new FlockerError(
      "CERTIFICATE_INVALID",
      `${paths.key} is not the key of ${paths.certificate}. ` +
        "Put the two files that `flocker-ca initialize` made together back in one directory.",
    );
  }
  return authority;
}

function fits(authority: Credential, paths: CredentialPaths): boolean {
  const certificate = parsed(paths.certificate, "a certificate", () => {
    return new X509Certificate(authority.certificate);
  });
  const key = parsed(paths.key, "an unencrypted private key", () => {
    return createPrivateKey(authority.key);
  });
  return certificate.checkPrivateKey(key);
}

function parsed<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new FlockerError(
      "CERTIFICATE_INVALID",
      `Unable to load certificate authority file. ${path} does not hold ${what} in PEM form.`,
      { cause },
    );
  }
}

async function readAuthorityFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const hint =
      codeOf(error) === "ENOENT"
        ? " Please run `flocker-ca initialize` to generate a new certificate authority."
        : "";
    throw failure(`Unable to load certificate authority file.${hint}`, error, path);
  }
}

function failure(what: string, error: unknown, path: string): FlockerError {
  return new FlockerError("CERTIFICATE_INVALID", `${what} ${systemMessage(error)} ${path}`, {
    cause: error,
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** The texts of libc, which scripts know from Flocker 1.15; libuv has its own for the rest. */
const libcMessages: Readonly<Record<string, string>> = {
  EACCES: "Permission denied",
  EEXIST: "File exists",
  EISDIR: "Is a directory",
  ENAMETOOLONG: "File name too long",
  ENOENT: "No such file or directory",
  ENOSPC: "No space left on device",
  ENOTDIR: "Not a directory",
  EPERM: "Operation not permitted",
  EROFS: "Read-only file system",
};

/** What the operating system said, as libc words it. */
export function systemMessage(error: unknown): string {
  const known = libcMessages[codeOf(error)];
  if (known !== undefined) return known;
  return error instanceof Error && "errno" in error && typeof error.errno === "number"
    ? getSystemErrorMessage(error.errno)
    : messageOf(error);
}
