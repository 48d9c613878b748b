import { randomUUID } from "node:crypto";
import { type Static, Type } from "typebox";
import { Check } from "typebox/value";
import { assert } from "../../lib/assert.ts";
import type { Driver } from "../driver.ts";
import { LoopbackBackend } from "./loopback-backend.ts";
import { San } from "./san.ts";

const options = Type.Object(
  { root_path: Type.Optional(Type.String({ pattern: "^/" })) },
  { additionalProperties: false },
);
const rootPathDefault = "/var/lib/flocker/loopback";

/**
 * Volumes are files in a directory that all nodes see, shown as loop devices: a storage array for
 * tests, demos and one machine. Nothing but records in that directory keeps two nodes apart.
 */
export const driver: Driver = {
  name: "loopback",
  options,
  open: async (given, context) => {
    assert(Check(options, given), "the registry checks a driver's keys before it opens it");
    const { root_path: rootPath = rootPathDefault }: Static<typeof options> = given;
    const registry = `${context.dataDir}/pools/${context.pool}.san.json`;
    return new LoopbackBackend(await San.open(rootPath, randomUUID(), registry), context.clusterId);
  },
};
