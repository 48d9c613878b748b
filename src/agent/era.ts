import { randomUUID } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile, statfs, writeFile, rename } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { type BootId, parseBootId } from "../domain/ids.ts";
import { FlockerError } from "../lib/errors.ts";
import { makeDirectory, readMachineId } from "../lib/system.ts";

/** Which machine this is, and which boot of it. */
export type Era = {
  readonly bootId: BootId;
  /** Random, kept in /run: another one in the same boot ends nothing (ADR 0011). */
  readonly runId: string;
  readonly fingerprint: string;
};

const tmpfsMagic = 0x01021994;

/**
 * Reads the boot id (random(4)), the machine's identity (machine-id(5) and, where the firmware
 * tells one, the DMI product UUID), and makes or reads the id in `runDir`, which must be a tmpfs.
 */
export async function readEra(runDir: string): Promise<Era> {
  await makeDirectory(runDir, 0o755);
  const { type } = await statfs(runDir);
  if (type !== tmpfsMagic) {
    throw new FlockerError(
      "CONFIGURATION_INVALID",
      `${runDir} is not on a tmpfs: what is kept there must not survive a reboot. Mount a tmpfs ` +
        "on /run.",
    );
  }
  const bootId = parseBootId((await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim());
  return { bootId, runId: await readRunId(`${runDir}/era.json`), fingerprint: await fingerprint() };
}

async function readRunId(path: string): Promise<string> {
  const known = await readOrNull(path);
  if (known !== null) return known.trim();
  const fresh = randomUUID();
  await writeFile(`${path}.new`, `${fresh}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return fresh;
}

async function fingerprint(): Promise<string> {
  const machine = await readMachineId();
  const product = await readOrNull("/sys/class/dmi/id/product_uuid");
  return [machine, ...(product === null ? [] : [product.trim().toLowerCase()])].join("/");
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return null; // Absent, or hidden from us: the other facts identify the machine.
  }
}

/**
 * The address by which this machine is seen from where the control service is, and so most likely
 * by the other nodes. Sends nothing. A control service on this very machine says nothing of that.
 */
export async function addressTowards(host: string): Promise<string> {
  const socket = createSocket({ type: "udp4" });
  try {
    const connected = once(socket, "connect");
    socket.connect(discardPort, host);
    await connected;
    const { address } = socket.address();
    return address.startsWith("127.") ? ownAddress() : address;
  } catch {
    return ownAddress(); // No route to it yet, or its name is not known.
  } finally {
    socket.close();
  }
}

const discardPort = 9;
/** Of engines and hypervisors: nobody else reaches this machine by them. */
const inner = /^(?:docker|br-|veth|virbr|cni|flannel)/;

/** The first address of this machine that is not loopback; for people and the old node list. */
function ownAddress(): string {
  const named = Object.entries(networkInterfaces());
  const outer = named.filter(([name]) => !inner.test(name));
  const all = [...outer, ...named].flatMap(([, list]) => list ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}
