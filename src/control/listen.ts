import type { Server } from "node:net";
import { FlockerError } from "../lib/errors.ts";
import { systemReason } from "../lib/system.ts";

/** Where a server listens; `host` null is every address of the machine, port 0 any free one. */
export type Endpoint = { readonly host: string | null; readonly port: number };

/**
 * Resolves to the port once `server` listens. `PORT_IN_USE` and `CONFIGURATION_INVALID` name the
 * port and the option that says another.
 */
export async function listen(
  server: Server,
  { host, port }: Endpoint,
  option: string,
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error): void => reject(listenError(cause, port, option));
    server.once("error", failed);
    server.listen({ port, ...(host === null ? {} : { host }) }, () => {
      server.off("error", failed);
      resolve();
    });
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

function listenError(cause: Error, port: number, option: string): FlockerError {
  const options = { cause, details: { port, option } };
  const code = "code" in cause ? cause.code : null;
  if (code === "EADDRINUSE") {
    return new FlockerError(
      "PORT_IN_USE",
      `Port ${port} is taken by another program (ss -ltnp shows which). Stop it, or name another ` +
        `port with ${option}.`,
      options,
    );
  }
  const why = code === "EACCES" ? "only root may listen on a port below 1024" : systemReason(cause);
  return new FlockerError(
    "CONFIGURATION_INVALID",
    `Cannot listen on port ${port}: ${why}. Name another with ${option}.`,
    options,
  );
}
