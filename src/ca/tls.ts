import { type KeyObject, X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ConnectionOptions, TlsOptions } from "node:tls";
import type { NodeId } from "../domain/ids.ts";
import { FlockerError } from "../lib/errors.ts";
import { systemMessage } from "./credential-files.ts";
import {
  type PeerIdentity,
  type Role,
  clusterOf,
  controlServiceName,
  describeIdentity,
  peerIdentity,
} from "./identity.ts";

/** A peer that says nothing must not hold a connection for Node.js's two minutes. */
const handshakeMsMax = 10_000;

export type TlsFiles = {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
};

/** What a process needs to speak TLS in its role: checked texts, and who it speaks for. */
export type TlsCredentials = {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly identity: PeerIdentity;
  /** The cluster's UUID, if the authority names one. */
  readonly cluster: string | null;
  readonly expiresAtMs: number;
};

/**
 * Reads and checks the three files. Whatever is wrong with them (missing, unreadable, not PEM,
 * expired, not yet valid, of another authority, a key that does not fit, another role) is
 * `CERTIFICATE_INVALID` with one sentence that names the file and says what to do.
 */
export async function loadTls(
  files: TlsFiles,
  role: Role,
  nowMs: number = Date.now(),
): Promise<TlsCredentials> {
  const ca = await readText(files.authority, "cluster");
  const cert = await readText(files.certificate, role);
  const keyText = await readText(files.key, role);
  const authority = parseCertificate(files.authority, ca);
  const certificate = parseCertificate(files.certificate, cert);
  const key = parseKey(files.key, keyText);
  checkTime(files.authority, authority, nowMs);
  checkTime(files.certificate, certificate, nowMs);
  checkChain(files, authority, certificate);
  checkKey(files, certificate, key);
  return {
    ca,
    cert,
    key: keyText,
    identity: checkRole(files.certificate, certificate, role),
    cluster: clusterOf(authority),
    expiresAtMs: Date.parse(certificate.validTo),
  };
}

/**
 * Options of a server that demands a certificate of its own cluster. Not strict about X.509: the
 * authority of Flocker 1.15 made certificates of version 1 with extensions. Port 4523 stays open
 * to TLS 1.2, the newest that clients of that time speak.
 */
export function serverTls(
  credentials: TlsCredentials,
  minVersion: "TLSv1.2" | "TLSv1.3",
): TlsOptions & { requestCert: true; rejectUnauthorized: true } {
  const { ca, cert, key } = credentials;
  return {
    ca,
    cert,
    key,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion,
    handshakeTimeout: handshakeMsMax,
  };
}

/** Options of a client of the control service, whatever host it dials. */
export function clientTls(
  credentials: TlsCredentials,
  minVersion: "TLSv1.2" | "TLSv1.3",
): ConnectionOptions {
  const { ca, cert, key } = credentials;
  return { ca, cert, key, servername: controlServiceName, rejectUnauthorized: true, minVersion };
}

/**
 * Options of a node that dials another one: only that node may answer, whatever address it has.
 * Its certificate names no host.
 */
export function peerTls(credentials: TlsCredentials, node: NodeId): ConnectionOptions {
  const { ca, cert, key } = credentials;
  return {
    ca,
    cert,
    key,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
    checkServerIdentity: (_host, { raw }) => {
      const identity = peerIdentity(new X509Certificate(raw));
      if (identity.kind === "node" && identity.nodeId === node) return undefined;
      const who = describeIdentity(identity);
      return new FlockerError("CERTIFICATE_INVALID", `${who} answered instead of node ${node}`);
    },
  };
}

/** How each kind of file is made, for the messages about a missing one. */
const makers: Readonly<Record<Role | "cluster", string>> = {
  cluster: "`flocker-ca initialize NAME` makes it, once for a cluster",
  control: "`flocker-ca create-control-certificate HOSTNAME` makes it",
  node: "`flocker-ca create-node-certificate` makes it",
  user: "`flocker-ca create-api-certificate USERNAME` makes it",
};

async function readText(path: string, kind: Role | "cluster"): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    throw invalid(
      missing
        ? `${path} is missing: ${makers[kind]}, then copy it there`
        : `${path} cannot be read: ${systemMessage(cause)}`,
      cause,
    );
  }
}

function parseCertificate(path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw invalid(`${path} does not hold a certificate in PEM form; copy it again`, cause);
  }
}

function parseKey(path: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw invalid(`${path} does not hold an unencrypted private key in PEM form`, cause);
  }
}

function checkTime(path: string, certificate: X509Certificate, nowMs: number): void {
  const { validFrom, validTo } = certificate;
  if (nowMs > Date.parse(validTo)) {
    throw invalid(`${path} expired on ${iso(validTo)}: make a new one with flocker-ca`);
  }
  if (nowMs < Date.parse(validFrom)) {
    throw invalid(
      `${path} is not valid before ${iso(validFrom)}, and this machine's clock says ` +
        `${new Date(nowMs).toISOString()}: set the clock, or make the certificate again`,
    );
  }
}

function checkChain(
  files: TlsFiles,
  authority: X509Certificate,
  certificate: X509Certificate,
): void {
  if (!authority.ca) {
    throw invalid(`${files.authority} is not the certificate of a certificate authority`);
  }
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    throw invalid(
      `${files.certificate} was not signed by ${files.authority}: ` +
        "it belongs to another cluster; use the files of one cluster together",
    );
  }
}

function checkKey(files: TlsFiles, certificate: X509Certificate, key: KeyObject): void {
  if (certificate.checkPrivateKey(key)) return;
  throw invalid(
    `${files.key} is not the key of ${files.certificate}: use the two files that were made together`,
  );
}

function checkRole(path: string, certificate: X509Certificate, role: Role): PeerIdentity {
  const identity = peerIdentity(certificate);
  if (identity.kind === role) return identity;
  const reason = identity.kind === "refused" ? ` (${identity.reason})` : "";
  throw invalid(
    `${path} is ${describeIdentity(identity)}${reason}, but a ${role} certificate belongs there: ` +
      makers[role],
  );
}

function iso(date: string): string {
  return new Date(date).toISOString();
}

function invalid(message: string, cause?: unknown): FlockerError {
  return new FlockerError("CERTIFICATE_INVALID", message, { cause });
}
