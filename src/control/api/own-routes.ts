import { FlockerError } from "../../lib/errors.ts";
import { datasetPageLimitMax } from "../../protocol/api.ts";
import type { ControlPort, PageRequest } from "./control-port.ts";
import { parseCreate, parseDeclareDead, parseRescue, parseRestore } from "./dataset-bodies.ts";
import { type Asked, created, datasetIdOf, nodeIdOf, ok, type Route } from "./route.ts";

/** The resources that the original did not have. */
export function ownRoutes(control: ControlPort): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/datasets",
      answer: async (asked) => ok(await control.datasetViews(pageOf(asked))),
    },
    {
      method: "POST",
      path: "/v1/datasets",
      answer: async ({ body }) => {
        const { datasetId } = await control.createDataset(parseCreate(body));
        return created(await control.datasetView(datasetId));
      },
    },
    {
      method: "GET",
      path: "/v1/datasets/:id",
      answer: async (asked) => ok(await control.datasetView(datasetIdOf(asked))),
    },
    {
      method: "POST",
      path: "/v1/datasets/:id/rescue",
      answer: async (asked) => {
        const wanted = parseRescue(asked.body);
        const { datasetId } = await control.rescueCopy(datasetIdOf(asked), wanted);
        return created(await control.datasetView(datasetId));
      },
    },
    {
      method: "GET",
      path: "/v1/copies",
      answer: async (asked) => ok(await control.copies(pageOf(asked))),
    },
    ...trashRoutes(control),
    {
      method: "GET",
      path: "/v1/nodes",
      answer: async () => ok({ nodes: await control.nodeViews() }),
    },
    {
      method: "POST",
      path: "/v1/nodes/:id/declare-dead",
      answer: async (asked) => {
        const { force } = parseDeclareDead(asked.body);
        return ok(await control.declareDead(nodeIdOf(asked), force));
      },
    },
    {
      method: "POST",
      path: "/v1/nodes/:id/remove",
      answer: async (asked) => ok(await control.removeNode(nodeIdOf(asked))),
    },
    {
      method: "POST",
      path: "/v1/nodes/:id/replace",
      answer: async (asked) => ok(await control.replaceNode(nodeIdOf(asked))),
    },
  ];
}

function trashRoutes(control: ControlPort): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/trash",
      answer: async (asked) => ok(await control.trash(pageOf(asked))),
    },
    {
      method: "POST",
      path: "/v1/trash/:id/restore",
      answer: async (asked) => {
        const as = parseRestore(asked.body);
        const { datasetId } = await control.restoreDataset(datasetIdOf(asked), as);
        return ok(await control.datasetView(datasetId));
      },
    },
    {
      method: "POST",
      path: "/v1/trash/:id/purge",
      answer: async (asked) => {
        const { datasetId } = await control.purgeDataset(datasetIdOf(asked));
        return ok(await control.datasetView(datasetId));
      },
    },
  ];
}

const pageLimitDefault = 100;

function pageOf({ query }: Asked): PageRequest {
  const { limit = String(pageLimitDefault), after = null } = query;
  const count = typeof limit === "string" && /^\d{1,5}$/.test(limit) ? Number(limit) : 0;
  if (count < 1 || count > datasetPageLimitMax) {
    throw new FlockerError("INVALID_ARGUMENT", `limit is from 1 to ${datasetPageLimitMax}.`);
  }
  if (after !== null && typeof after !== "string") {
    throw new FlockerError("INVALID_ARGUMENT", "after is the `next` of the page before.");
  }
  return { limit: count, after };
}
