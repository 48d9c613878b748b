import { type CliContext, command, nonEmpty } from "../command.ts";
import { selectDataset } from "../select.ts";

export const destroy = command({
  name: "destroy",
  summary: "Delete a dataset, as its reclaim policy says",
  details: [
    "With the policy `trash`, the default, its volume is kept for seven days, and `flockerctl trash " +
      "restore` brings it back; with --purge it is destroyed, whatever the policy says.",
  ],
  examples: ["flockerctl destroy --dataset 5540d6e3", "flockerctl destroy -d 5540d6e3 --purge"],
  args: {
    dataset: {
      kind: "required",
      short: "d",
      value: "prefix",
      help: "Beginning of its id, or its name",
      parse: nonEmpty,
    },
    purge: { kind: "flag", help: "Do not keep it in the trash: its data is lost for ever" },
  },
  async run({ dataset: prefix, purge }, { output, connect }: CliContext) {
    const client = await connect();
    const { datasets } = await client.listAllDatasets();
    const dataset = selectDataset(datasets, prefix);
    const answer = await client.deleteDataset(dataset.dataset_id, { purge });
    output.answer(
      answer,
      () => "marked dataset as deleted. poll list manually to see it disappear.\n\n",
    );
  },
});
