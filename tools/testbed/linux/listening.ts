import { readFileSync } from "node:fs";

/** A TCP port, or the path of a Unix socket. */
export type Door = number | string;

/** Whether somebody listens there in the network of process `pid`, as the kernel lists it. */
export function isListening(pid: number, door: Door): boolean {
  const table = (name: string): string[] =>
    readFileSync(`/proc/${pid}/net/${name}`, "utf8").split("\n");
  if (typeof door === "string") {
    // The fourth column has the flag of a socket that accepts connections.
    return table("unix").some((line) => line.endsWith(` ${door}`) && line.includes(" 00010000 "));
  }
  const port = door.toString(16).toUpperCase().padStart(4, "0");
  const listed = new RegExp(`^\\s*\\d+: [0-9A-F]+:${port} [0-9A-F:]+ 0A `);
  return [...table("tcp"), ...table("tcp6")].some((line) => listed.test(line));
}
