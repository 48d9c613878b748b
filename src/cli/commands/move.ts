import { type CliContext, UsageError, command, nonEmpty } from "../command.ts";
import { selectDataset, selectNode } from "../select.ts";

const node = {
  kind: "option",
  value: "prefix",
  help: "Beginning of the id of the node that has it next",
  parse: nonEmpty,
} as const;

export const move = command({
  name: "move",
  summary: "Move a dataset to another node",
  details: ["A dataset that a container uses moves once the container is stopped."],
  examples: ["flockerctl move --dataset 5540d6e3 --destination 5f3d2f4e"],
  args: {
    dataset: {
      kind: "required",
      short: "d",
      value: "prefix",
      help: "Beginning of its id, or its name",
      parse: nonEmpty,
    },
    destination: { ...node, short: "t" },
    target: { ...node, help: "The same as --destination" },
  },
  async run({ dataset: prefix, destination, target }, { output, connect }: CliContext) {
    const to = destination ?? target;
    if (to === undefined) throw new UsageError("must specify --destination");
    const client = await connect();
    const [page, { nodes }] = await Promise.all([client.listAllDatasets(), client.listNodes()]);
    const dataset = selectDataset(page.datasets, prefix);
    const answer = await client.moveDataset(dataset.dataset_id, selectNode(nodes, to).uuid);
    output.answer(
      answer,
      () => "initiated move of dataset, please check state to observe it actually move.\n\n",
    );
  },
});
