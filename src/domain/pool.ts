import { FlockerError } from "../lib/errors.ts";
import type { FileSystem } from "./record.ts";

/** What a driver promises about two nodes and one volume; conformance writes from the old node. */
export type Exclusivity = "enforced" | "advisory" | "none";
export type Fencing = "none" | "storage" | "power";

/** Declared by the driver, asserted by its conformance cases; never probed for at run time. */
export type Capabilities = {
  readonly kind: "attachable" | "local";
  readonly exclusive: Exclusivity;
  readonly fence: Fencing;
  readonly sizeBytesMin: number;
  readonly sizeBytesStep: number;
  readonly sizeBytesMax: number;
  /** Volumes that one node can have attached at once. */
  readonly attachedMax: number;
  /** How long a change may stay invisible in `list`. */
  readonly listDelayMsMax: number;
  /** After this a request whose caller vanished has landed or never will (ADR 0013). */
  readonly operationMsMax: number;
};

/** A named backend with its configuration, as a node reports it. */
export type Pool = {
  readonly name: string;
  readonly driver: string;
  readonly capabilities: Capabilities;
  readonly defaultSizeBytes: number;
};

export const defaultSizeBytes = 10 * 2 ** 30;

/** Smallest volumes that a file system can live on, in bytes. */
export const fileSystemBytesMin: Readonly<Record<FileSystem, number>> = {
  ext4: 64 * 2 ** 20,
  xfs: 300 * 2 ** 20,
};

export type SizeDecision = { readonly sizeBytes: number; readonly notice: string | null };

/**
 * The size that a volume is created with. `requestedBytes` null means the pool's default;
 * `fileSystem` null that the pool has its own. Below the minimum or above the maximum is
 * `SIZE_OUT_OF_RANGE` naming minimum, step and maximum; between steps it is rounded up with a
 * notice. Guarantees sizeBytes >= requestedBytes.
 */
export function decideSize(
  requestedBytes: number | null,
  pool: Pool,
  fileSystem: FileSystem | null,
): SizeDecision {
  const { sizeBytesMin, sizeBytesStep, sizeBytesMax } = pool.capabilities;
  const minimum = Math.max(sizeBytesMin, fileSystem === null ? 0 : fileSystemBytesMin[fileSystem]);
  const made = fileSystem === null ? pool.driver : `${pool.driver}, ${fileSystem}`;
  const wanted = requestedBytes ?? Math.max(pool.defaultSizeBytes, minimum);
  if (wanted < minimum || wanted > sizeBytesMax) {
    throw new FlockerError(
      "SIZE_OUT_OF_RANGE",
      `Pool ${pool.name} (${made}) takes volumes from ${minimum} to ` +
        `${sizeBytesMax} bytes in steps of ${sizeBytesStep}; ${wanted} bytes were asked for.`,
      { details: { minimum, step: sizeBytesStep, maximum: sizeBytesMax, requested: wanted } },
    );
  }
  const sizeBytes = Math.ceil(wanted / sizeBytesStep) * sizeBytesStep;
  return {
    sizeBytes,
    notice:
      sizeBytes === wanted
        ? null
        : `The size of ${wanted} bytes was rounded up to ${sizeBytes}: pool ${pool.name} has ` +
          `steps of ${sizeBytesStep} bytes.`,
  };
}
