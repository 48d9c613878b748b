import type { DatasetView, TrashView } from "../../protocol/api.ts";
import { type CliContext, command, nonEmpty } from "../command.ts";
import { sizeText } from "../dataset-text.ts";
import { selectByName } from "../select.ts";
import { formatTable } from "../table.ts";
import { counted } from "./held-datasets.ts";

const header = ["DATASET", "NAME", "SIZE", "DELETED", "PURGED"];

export const trashList = command({
  name: "trash list",
  aliases: ["ls"],
  summary: "List the deleted datasets whose volumes are still there",
  details: [
    "PURGED is when a volume is destroyed, at the earliest: seven days after the deletion, and " +
      "after as long a time in which the control service was running. `retained` ones stay until a " +
      "person empties them.",
  ],
  examples: ["flockerctl trash ls", "flockerctl trash ls --json"],
  args: {},
  async run(_, { output, connect }: CliContext) {
    const client = await connect();
    const page = await client.listTrash();
    output.answer(page, () => formatTable([header, ...page.datasets.map(row)]));
  },
});

function row({ dataset_id: id, name, size, deleted, purged }: TrashView): string[] {
  return [id, name ?? "", sizeText(size), deleted, purged ?? "retained"];
}

export const trashRestore = command({
  name: "trash restore",
  summary: "Take a dataset out of the trash",
  details: [
    "What was retained comes back too, and what is still being deleted, until its volume is being " +
      "destroyed. If another dataset has its name by now, give it a new one with --as.",
  ],
  examples: ["flockerctl trash restore shop", "flockerctl trash restore 5540d6e3 --as shop-before"],
  args: {
    dataset: { kind: "positional", help: "Its name, or the beginning of its id", parse: nonEmpty },
    as: { kind: "option", value: "name", help: "Name that it gets", parse: nonEmpty },
  },
  async run({ dataset: prefix, as }, { output, connect }: CliContext) {
    const client = await connect();
    const [trash, all] = await Promise.all([client.listTrash(), client.listAllDatasets()]);
    const deleting = all.datasets.filter(({ deleted }) => deleted);
    const found = selectByName([...trash.datasets, ...deleting], prefix);
    const answer = await client.restoreDataset(found.dataset_id, as === undefined ? {} : { as });
    output.answer(
      answer,
      () => `restored ${answer.dataset_id} ${answer.name ?? ""}`.trim() + ".\n",
    );
  },
});

export const trashEmpty = command({
  name: "trash empty",
  summary: "Destroy what is in the trash: its data is lost for ever",
  details: [
    "Without datasets all that is in the trash goes; what was retained goes only when it is named.",
  ],
  examples: [
    "flockerctl trash empty",
    "flockerctl trash empty shop 5540d6e3",
    "flockerctl trash empty --yes",
  ],
  args: {
    datasets: { kind: "words", help: "Names, or the beginnings of ids", parse: nonEmpty },
    yes: { kind: "flag", help: "Do not ask" },
  },
  async run({ datasets: prefixes, yes }, { output, connect, confirm }: CliContext) {
    const client = await connect();
    const { datasets } = await client.listTrash();
    const named = prefixes.map((prefix) => selectByName(datasets, prefix));
    const all = datasets.filter(({ phase }) => phase === "trashed");
    const chosen = [...new Set(prefixes.length === 0 ? all : named)];
    for (const one of chosen) output.talk(`  ${one.dataset_id} ${one.name ?? "(no name)"}`);
    const count = counted(chosen.length, "dataset");
    if (chosen.length > 0) {
      await confirm(`Type empty to destroy ${count} for ever: `, "empty", yes);
    }
    const purged = await purge(chosen, (id) => client.purgeDataset(id));
    output.answer({ datasets: purged }, () => `${count} will be destroyed.\n`);
  },
});

/** One after the other: the first that fails ends it, and its error names the dataset. */
async function purge(
  chosen: readonly TrashView[],
  ask: (id: string) => Promise<DatasetView>,
): Promise<readonly DatasetView[]> {
  const purged: DatasetView[] = [];
  for (const { dataset_id: id } of chosen) purged.push(await ask(id));
  return purged;
}
