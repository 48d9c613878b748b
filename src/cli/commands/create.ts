import type { CreateDataset } from "../../protocol/api.ts";
import { type CliContext, UsageError, command, nonEmpty } from "../command.ts";
import { parseFileSystem, parseMetadata, parseReclaim, parseSize } from "../parse-values.ts";
import { selectNode } from "../select.ts";

export const create = command({
  name: "create",
  summary: "Create a dataset on a node",
  details: [
    "Without a size it gets the default of its pool. Containers find it by its name, which is " +
      "the value of `name` in the metadata.",
  ],
  examples: [
    "flockerctl create --node 1acbab49 --size 10G --metadata name=shop",
    "flockerctl create --node 1acbab49 --name shop --pool ssd --fs xfs --reclaim retain",
  ],
  args: {
    node: {
      kind: "required",
      short: "n",
      value: "prefix",
      help: "Beginning of the id of the node that has it first",
      parse: nonEmpty,
    },
    metadata: {
      kind: "option",
      short: "m",
      value: "a=b,c=d",
      help: "Metadata",
      parse: parseMetadata,
    },
    size: {
      kind: "option",
      short: "s",
      value: "size",
      help: "Bytes, or a number with k, M, G or T, like 10G",
      parse: parseSize,
    },
    name: { kind: "option", value: "name", help: "Name of the volume in Docker", parse: nonEmpty },
    pool: { kind: "option", value: "pool", help: "Pool that stores it", parse: nonEmpty },
    fs: {
      kind: "option",
      value: "fs",
      help: "File system: ext4 or xfs",
      parse: parseFileSystem,
    },
    reclaim: {
      kind: "option",
      value: "policy",
      help: "What deleting does: trash, delete or retain",
      parse: parseReclaim,
    },
  },
  async run({ node: prefix, metadata = {}, size, ...given }, { output, connect }: CliContext) {
    const named = metadata["name"];
    if (given.name !== undefined && named !== undefined && given.name !== named) {
      throw new UsageError(`--name says '${given.name}', but --metadata says name=${named}`);
    }
    const client = await connect();
    const primary = selectNode((await client.listNodes()).nodes, prefix).uuid;
    const extra = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    );
    const answer =
      Object.keys(extra).length === 0
        ? await client.createDataset({
            primary,
            metadata,
            ...(size !== undefined && { maximum_size: size }),
          })
        : await client.createDatasetWith(withOptions({ primary, metadata, ...extra }, size));
    output.answer(
      answer,
      () =>
        "created dataset in configuration, manually poll state with 'flocker-volumes list' " +
        "to see it show up.\n\n",
    );
    if ("notice" in answer && answer.notice !== null) output.talk(answer.notice);
  },
});

function withOptions(dataset: CreateDataset, size: number | undefined): CreateDataset {
  return size === undefined ? dataset : { ...dataset, size };
}
