// oxlint-disable-next-line import/no-unassigned-import -- x509 asks for it, before itself
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { type KeyObject, createPrivateKey, randomBytes, randomUUID, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { unreachable } from "../lib/assert.ts";
import { FlockerError } from "../lib/errors.ts";
import { controlServiceName } from "./identity.ts";

/** A certificate and its private key, both PEM. */
export type Credential = { readonly certificate: string; readonly key: string };

export type Subject =
  | { readonly kind: "control"; readonly hostname: string }
  | { readonly kind: "node"; readonly nodeId: string }
  | { readonly kind: "user"; readonly name: string };

/** 20 years of 365 days, for authority and leaves alike, as in Flocker 1.15. */
const validityMs = 20 * 365 * 24 * 60 * 60 * 1000;
const commonNameCharactersMax = 64; // ub-common-name of RFC 5280: others refuse longer ones.
const elliptic = { name: "ECDSA", namedCurve: "P-256" } as const;
const sha256 = "SHA-256";

/** A new authority of a new cluster: its UUID stands in the organizational unit. */
export async function createAuthority(name: string, nowMs: number): Promise<Credential> {
  const keys = await webcrypto.subtle.generateKey(elliptic, true, ["sign", "verify"]);
  const subject = distinguishedName(randomUUID(), name);
  const identifier = await SubjectKeyIdentifierExtension.create(keys.publicKey);
  const certificate = await X509CertificateGenerator.create({
    ...validity(nowMs),
    subject,
    issuer: subject,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: { name: "ECDSA", hash: sha256 },
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      identifier,
      await AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await exportKey(keys.privateKey) };
}

/** A leaf signed by `authority`, in the authority's cluster. The authority may be an RSA one. */
export async function issue(
  authority: Credential,
  subject: Subject,
  nowMs: number,
): Promise<Credential> {
  const issuer = new X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(elliptic, true, ["sign", "verify"]);
  const signer = await importSigner(createPrivateKey(authority.key));
  const certificate = await X509CertificateGenerator.create({
    ...validity(nowMs),
    subject: distinguishedName(clusterId(issuer), commonNameOf(subject)),
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: signer,
    signingAlgorithm: { name: signer.algorithm.name, hash: sha256 },
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(usages(subject)),
      ...alternativeNames(subject),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await exportKey(keys.privateKey) };
}

function commonNameOf(subject: Subject): string {
  switch (subject.kind) {
    case "control":
      return controlServiceName;
    case "node":
      return `node-${subject.nodeId}`;
    case "user":
      return `user-${subject.name}`;
    default:
      return unreachable(subject);
  }
}

/** Nodes listen for streams of other nodes, so theirs serve both ways. */
function usages(subject: Subject): ExtendedKeyUsage[] {
  switch (subject.kind) {
    case "control":
      return [ExtendedKeyUsage.serverAuth];
    case "node":
      return [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth];
    case "user":
      return [ExtendedKeyUsage.clientAuth];
    default:
      return unreachable(subject);
  }
}

/** Flocker's own clients verify `control-service`; flocker-go and curl verify what they dialled. */
function alternativeNames(subject: Subject): Extension[] {
  if (subject.kind !== "control") return [];
  const { hostname } = subject;
  const dialled = { type: isIP(hostname) === 0 ? "dns" : "ip", value: hostname } as const;
  const own = { type: "dns", value: controlServiceName } as const;
  const names = hostname === controlServiceName ? [own] : [own, dialled];
  return [new SubjectAlternativeNameExtension(names)];
}

function distinguishedName(unit: string, name: string): Name {
  if (Array.from(name).length > commonNameCharactersMax) {
    throw new FlockerError(
      "INVALID_ARGUMENT",
      `the name ${JSON.stringify(name)} has over ${commonNameCharactersMax} characters`,
    );
  }
  return new Name([{ OU: [{ utf8String: unit }] }, { CN: [{ utf8String: name }] }]);
}

function clusterId(issuer: X509Certificate): string {
  const unit = issuer.subjectName.getField("OU")[0];
  if (unit === undefined) {
    throw new FlockerError(
      "CERTIFICATE_INVALID",
      "the certificate authority names no cluster (its organizational unit is empty)",
    );
  }
  return unit;
}

function validity(nowMs: number): { serialNumber: string; notBefore: Date; notAfter: Date } {
  const beginMs = nowMs - (nowMs % 1000); // Certificates know whole seconds.
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0); // Positive, and always as long.
  return {
    serialNumber: serial.toString("hex"),
    notBefore: new Date(beginMs),
    notAfter: new Date(beginMs + validityMs),
  };
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
}

/** Authorities of Flocker 1.15 have RSA keys; ours have elliptic ones. */
async function importSigner(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = new Uint8Array(key.export({ format: "der", type: "pkcs8" }));
  const algorithm =
    key.asymmetricKeyType === "rsa" ? { name: "RSASSA-PKCS1-v1_5", hash: sha256 } : elliptic;
  return await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}
