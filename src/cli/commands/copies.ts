import type { CopiesView, CopyView } from "../../protocol/api.ts";
import { type CliContext, command, nonEmpty } from "../command.ts";
import { serverText } from "../dataset-text.ts";
import { selectByName, selectNode } from "../select.ts";
import { formatTable } from "../table.ts";

const header = ["DATASET", "NAME", "ROLE", "SERVER", "GENERATION", "SINCE", ""];

export const copiesList = command({
  name: "copies list",
  aliases: ["ls"],
  summary: "List the copies of datasets on nodes' own disks",
  details: [
    "Only the `live` copy is used. A `fallback` is what a node kept after a move, for a day; a " +
      "`replica` is coming in. A `diverged` one was live until a person declared its node dead: it " +
      "is neither used nor removed. `flockerctl copies rescue` makes a dataset of it. Copies of deleted datasets are listed too.",
  ],
  examples: ["flockerctl copies ls", "flockerctl copies ls shop"],
  args: {
    dataset: { kind: "optional", help: "Its name, or the beginning of its id", parse: nonEmpty },
  },
  async run({ dataset: prefix }, { output, connect }: CliContext) {
    const client = await connect();
    const [{ datasets }, { nodes }] = await Promise.all([client.listCopies(), client.listNodes()]);
    const chosen = prefix === undefined ? datasets : [selectByName(datasets, prefix)];
    const copies = chosen.flatMap(copiesOf);
    output.answer({ copies }, () =>
      formatTable([
        header,
        ...copies.map(({ dataset_id: id, name, ...copy }) => [
          id,
          name ?? "",
          copy.role,
          serverText(copy.node, nodes, false),
          String(copy.generation),
          copy.since,
          markOf(copy),
        ]),
      ]),
    );
  },
});

type CopyOf = CopyView & Pick<CopiesView, "dataset_id" | "name">;

function copiesOf({ dataset_id, name, copies }: CopiesView): readonly CopyOf[] {
  return copies.map((copy) => ({ dataset_id, name, ...copy }));
}

function markOf({ settled, discarding, role }: CopyView): string {
  if (discarding) return "being removed";
  return settled || role === "diverged" ? "" : "not settled";
}

export const copiesRescue = command({
  name: "copies rescue",
  summary: "Make a new dataset of a copy that is not the live one",
  details: [
    "Of a diverged copy or a fallback: how a person gets at what is in it. The copy itself stays " +
      "as it is, and so does the dataset that it belongs to.",
  ],
  examples: ["flockerctl copies rescue shop --node 1acbab49 --as shop-found"],
  args: {
    dataset: { kind: "positional", help: "Its name, or the beginning of its id", parse: nonEmpty },
    node: {
      kind: "required",
      short: "n",
      value: "prefix",
      help: "Beginning of the id of the node that has the copy",
      parse: nonEmpty,
    },
    as: { kind: "required", value: "name", help: "Name of the new dataset", parse: nonEmpty },
  },
  async run({ dataset: prefix, node, as: name }, { output, connect }: CliContext) {
    const client = await connect();
    const [{ datasets }, { nodes }] = await Promise.all([client.listCopies(), client.listNodes()]);
    const { dataset_id: id } = selectByName(datasets, prefix);
    const answer = await client.rescueCopy(id, { node: selectNode(nodes, node).uuid, name });
    output.answer(answer, () => `created ${answer.dataset_id} ${name} of that copy.\n`);
  },
});
