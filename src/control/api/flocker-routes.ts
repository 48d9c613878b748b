import { FlockerError } from "../../lib/errors.ts";
import { version } from "../../lib/version.ts";
import { type BootId, parseBootId } from "../../domain/ids.ts";
import { type DatasetRecord, isListed } from "../../domain/record.ts";
import type { ConfiguredDataset, VersionAnswer } from "../../protocol/api.ts";
import type { ControlPort } from "./control-port.ts";
import { parseConfigure, parseMove } from "./dataset-bodies.ts";
import { created, datasetIdOf, ok, queryOf, type Route } from "./route.ts";

/** The resources of Flocker 1.15, in its shapes; never paged. */
export function flockerRoutes(control: ControlPort): readonly Route[] {
  const answered: VersionAnswer = { flocker: version };
  return [
    { method: "GET", path: "/v1/version", answer: () => Promise.resolve(ok(answered)) },
    ...configurationRoutes(control),
    {
      method: "GET",
      path: "/v1/state/datasets",
      answer: async () => {
        const all = await control.observedDatasets();
        // Clients take the first entry of an id: the mounted one.
        return ok(
          [...all].sort(
            (a, b) => Number(b.primary !== undefined) - Number(a.primary !== undefined),
          ),
        );
      },
    },
    {
      method: "GET",
      path: "/v1/state/nodes",
      answer: async () => ok(await control.observedNodes()),
    },
    {
      method: "GET",
      path: "/v1/state/nodes/by_era/:id",
      answer: async ({ id }) => {
        const era = eraOf(id);
        const uuid = era === null ? null : await control.nodeOfEra(era);
        if (uuid === null)
          throw new FlockerError("NODE_NOT_FOUND", "No node found with given era.");
        return ok({ uuid });
      },
    },
  ];
}

function configurationRoutes(control: ControlPort): readonly Route[] {
  const all = "/v1/configuration/datasets";
  const one = `${all}/:id`;
  return [
    {
      method: "GET",
      path: all,
      answer: async () => ok((await control.records()).filter(isListed).map(configuredDataset)),
    },
    {
      method: "POST",
      path: all,
      answer: async ({ body }) =>
        created(configuredDataset(await control.createDataset(parseConfigure(body)))),
    },
    {
      method: "POST",
      path: one,
      answer: async (asked) => {
        const primary = parseMove(asked.body);
        return ok(configuredDataset(await control.orderDataset(datasetIdOf(asked), primary)));
      },
    },
    {
      method: "DELETE",
      path: one,
      answer: async (asked) => {
        const purge = queryOf(asked, "purge", ["false", "true"]) === "true";
        return ok(configuredDataset(await control.deleteDataset(datasetIdOf(asked), purge)));
      },
    },
  ];
}

/** The size only as it was given, never null. */
function configuredDataset(record: DatasetRecord): ConfiguredDataset {
  const { datasetId, primary, metadata, deletion, maximumSizeBytes } = record;
  return {
    dataset_id: datasetId,
    primary,
    metadata,
    deleted: deletion !== null,
    ...(maximumSizeBytes === null ? {} : { maximum_size: maximumSizeBytes }),
  };
}

function eraOf(text: string): BootId | null {
  try {
    return parseBootId(text);
  } catch {
    return null;
  }
}
