import type { Server, TLSSocket } from "node:tls";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { type PeerIdentity, describeIdentity, peerIdentity } from "./identity.ts";

/**
 * From now on `server` closes each connection whose certificate is not of this role before a byte
 * is read from it or answered, with one log line, as it does for those that failed the handshake.
 * TLS 1.3 lets the handshake end first, so the client sees a connection that closes. Call it once,
 * after the listeners for connections are in place and before the server listens.
 */
export function onlyRole(server: Server, role: "user" | "node", log: Logger): void {
  const accepted = server.listeners("secureConnection");
  server.removeAllListeners("secureConnection");
  server.on("secureConnection", (socket: TLSSocket) => {
    const refusal = refusalOf(identityOf(socket), role);
    if (refusal === null) {
      for (const listener of accepted) Reflect.apply(listener, server, [socket]);
      return;
    }
    log.warn("connection.refused", { remote: socket.remoteAddress, reason: refusal });
    socket.on("error", () => {}); // The peer may reset it first; nobody else listens here.
    socket.destroy();
  });
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    // A chain that does not verify leaves its reason on the socket; the error is only a hang-up.
    const unverified = socket.authorizationError;
    const reason = unverified ? messageOf(unverified) : reasonOf(error);
    log.warn("connection.refused", { remote: socket.remoteAddress, reason });
  });
}

/** OpenSSL's own words where there are some; its messages begin with addresses and end in paths. */
function reasonOf(error: Error): string {
  return "reason" in error && typeof error.reason === "string" ? error.reason : messageOf(error);
}

/** Who speaks on a connection; nobody, unless the chain was verified. */
export function identityOf(socket: TLSSocket): PeerIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (!socket.authorized || certificate === undefined) {
    return { kind: "refused", reason: "no certificate of this cluster" };
  }
  return peerIdentity(certificate);
}

function refusalOf(identity: PeerIdentity, role: "user" | "node"): string | null {
  if (identity.kind === role) return null;
  const reason = identity.kind === "refused" ? ` (${identity.reason})` : "";
  return `${describeIdentity(identity)}${reason}; this port takes ${role} certificates only`;
}
