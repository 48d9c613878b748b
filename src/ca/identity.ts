import type { X509Certificate } from "node:crypto";
import { type NodeId, parseNodeId } from "../domain/ids.ts";
import { unreachable } from "../lib/assert.ts";
import { hasCode } from "../lib/errors.ts";

/** Who a certificate speaks for; `refused` says why it speaks for nobody. */
export type PeerIdentity =
  | { readonly kind: "user"; readonly name: string }
  | { readonly kind: "node"; readonly nodeId: NodeId }
  | { readonly kind: "control" }
  | { readonly kind: "refused"; readonly reason: string };

export type Role = "user" | "node" | "control";

/** The common name of the control service's certificate, and the name that clients verify. */
export const controlServiceName = "control-service";

/**
 * The common name alone tells the classes apart, as in Flocker 1.15. Says nothing about the chain:
 * the TLS layer has verified it before anybody asks.
 */
export function peerIdentity(certificate: X509Certificate): PeerIdentity {
  const name = commonName(certificate);
  if (name === null) return { kind: "refused", reason: "it has not exactly one common name" };
  if (name === controlServiceName) return { kind: "control" };
  if (name.startsWith("user-") && name.length > 5) return { kind: "user", name: name.slice(5) };
  if (name.startsWith("node-")) return nodeIdentity(name.slice(5));
  return { kind: "refused", reason: `its common name is ${JSON.stringify(name)}` };
}

function nodeIdentity(text: string): PeerIdentity {
  try {
    return { kind: "node", nodeId: parseNodeId(text) };
  } catch (error) {
    if (!hasCode(error, "INVALID_ARGUMENT")) throw error;
    return { kind: "refused", reason: `its node id ${JSON.stringify(text)} is no UUID version 4` };
  }
}

/** One line for messages: what kind of certificate it is and whose. */
export function describeIdentity(identity: PeerIdentity): string {
  switch (identity.kind) {
    case "user":
      return `the certificate of user ${identity.name}`;
    case "node":
      return `the certificate of node ${identity.nodeId}`;
    case "control":
      return "the control service's certificate";
    case "refused":
      return "no certificate of Flocker's";
    default:
      return unreachable(identity);
  }
}

/** Null unless there is exactly one: two names could be read as either. */
export function commonName(certificate: X509Certificate): string | null {
  return onlyOne(certificate.toLegacyObject().subject.CN);
}

/** The organizational unit, where flocker-ca writes the cluster's UUID. */
export function clusterOf(certificate: X509Certificate): string | null {
  return onlyOne(certificate.toLegacyObject().subject.OU);
}

function onlyOne(value: string | string[] | undefined): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
