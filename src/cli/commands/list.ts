import type { DatasetView } from "../../protocol/api.ts";
import { type CliContext, command } from "../command.ts";
import { metadataText, serverText, sizeText, statusText } from "../dataset-text.ts";
import { formatTable } from "../table.ts";

const header = ["DATASET", "SIZE", "METADATA", "STATUS", "SERVER"];
const wrappable = [header.indexOf("METADATA"), header.indexOf("STATUS")];

export const list = command({
  name: "list",
  aliases: ["ls"],
  summary: "List the datasets, where each one is, and why it is not where it should be",
  details: [
    "STATUS is `attached ✅`, `detached`, `deleting`, `deleted`, `moving ⌛ 43 % to 08ad1785` while " +
      "a copy goes over the network, or, with the reason, `pending ⌛` and `error ❌`. SIZE is the size that the volume has.",
  ],
  examples: ["flockerctl ls", "flockerctl ls --long", "flockerctl ls --json"],
  args: {
    deleted: {
      kind: "flag",
      short: "d",
      help: "Nothing: `flockerctl trash ls` lists what is in the trash",
    },
    long: { kind: "flag", short: "l", help: "Whole ids of servers" },
    human: { kind: "flag", short: "h", help: "Nothing: sizes are always in gibibytes" },
  },
  async run({ deleted, long }, { output, connect }: CliContext) {
    const client = await connect();
    const [page, { nodes }] = await Promise.all([client.listAllDatasets(), client.listNodes()]);
    output.answer(page, () => {
      const shown = page.datasets.filter((dataset) => deleted || isShown(dataset));
      const rows = shown.map((dataset) => [
        dataset.dataset_id,
        sizeText(dataset.size),
        metadataText(dataset.metadata),
        statusText(dataset),
        serverText(dataset.primary, nodes, long),
      ]);
      return formatTable([header, ...rows], output.terminal ? wrappable : []);
    });
  },
});

function isShown({ phase }: DatasetView): boolean {
  return phase !== "trashed";
}
