import { Errors } from "typebox/value";
import { FlockerError } from "../lib/errors.ts";
import type { BackendContext } from "./attachable.ts";
import { type Driver, isLocal, type OpenedBackend } from "./driver.ts";
import { logCalls } from "./logged-backend.ts";
import { logLocalCalls } from "./logged-local.ts";

/** Loaded when a pool names them: nobody pays for the libraries of a driver that is not used. */
const builtIn: Readonly<Record<string, () => Promise<{ readonly driver: Driver }>>> = {
  btrfs: () => import("./btrfs/btrfs-driver.ts"),
  loopback: () => import("./loopback/loopback-driver.ts"),
};

export const knownDrivers: readonly string[] = Object.keys(builtIn);

/** A pool as agent.yml describes it: a driver's name (or module) and the driver's own keys. */
export type PoolOptions = {
  readonly backend: string;
  readonly options: Readonly<Record<string, unknown>>;
};

/**
 * Opens the backend of a pool: finds its driver, checks the driver's keys, connects. Every call of
 * what it returns is logged at debug level. Fails with `CONFIGURATION_INVALID` in one sentence that
 * names what is known.
 */
export async function openBackend(
  pool: PoolOptions,
  context: BackendContext,
): Promise<OpenedBackend> {
  const driver = await findDriver(pool.backend);
  checkOptions(driver, pool.options);
  const backend = await driver.open(pool.options, context);
  return isLocal(backend)
    ? { kind: "local", backend: logLocalCalls(backend, driver.name) }
    : { kind: "attachable", backend: logCalls(backend, driver.name) };
}

/** A built-in one by its name, else the module of that name; `CONFIGURATION_INVALID` without it. */
export async function findDriver(backend: string): Promise<Driver> {
  const load = Object.hasOwn(builtIn, backend) ? builtIn[backend] : undefined;
  if (load !== undefined) return (await load()).driver;
  const module = await importDriver(backend);
  if (!("driver" in module)) {
    throw invalid(
      `The 3rd party plugin '${backend}' does not correspond to the expected interface. ` +
        `\`${backend}.driver\` is not defined.`,
    );
  }
  if (!isDriver(module.driver)) {
    throw invalid(
      `The 3rd party plugin '${backend}' does not correspond to the expected interface. ` +
        `\`${backend}.driver\` must have name, options and open.`,
    );
  }
  return module.driver;
}

async function importDriver(backend: string): Promise<object> {
  try {
    const module: unknown = await import(backend);
    return typeof module === "object" && module !== null ? module : {};
  } catch (cause) {
    throw new FlockerError(
      "CONFIGURATION_INVALID",
      `Configuration error: '${backend}' is neither a built-in plugin nor a 3rd party module. ` +
        `Built in: ${knownDrivers.join(", ")}.`,
      { cause },
    );
  }
}

function isDriver(value: unknown): value is Driver {
  if (typeof value !== "object" || value === null) return false;
  const found: Readonly<Record<string, unknown>> = { ...value };
  return (
    typeof found["name"] === "string" &&
    typeof found["open"] === "function" &&
    typeof found["options"] === "object" &&
    found["options"] !== null
  );
}

/** `options` are what a pool has besides keys that all pools have: each must be the driver's. */
export function checkOptions(driver: Driver, options: Readonly<Record<string, unknown>>): void {
  const known = Object.keys(driver.options.properties);
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw invalid(
      `Backend ${driver.name} has no key ${unknown}. Its keys are: ${known.join(", ")}.`,
    );
  }
  const missing = driver.options.required?.find((key: string) => !(key in options));
  if (missing !== undefined) {
    throw invalid(`Required key ${missing} is missing.`);
  }
  const [error] = Errors(driver.options, options);
  if (error === undefined) return;
  const key = error.instancePath.slice(1).replaceAll("/", ".");
  throw invalid(`Key ${key} of backend ${driver.name} ${error.message}.`);
}

function invalid(message: string): FlockerError {
  return new FlockerError("CONFIGURATION_INVALID", `Configuration error: ${message}`);
}
