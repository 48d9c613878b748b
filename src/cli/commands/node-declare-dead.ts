import { type CliContext, command, nonEmpty } from "../command.ts";
import { selectNode } from "../select.ts";
import { counted, heldLines, lookAtCluster } from "./held-datasets.ts";

export const nodeDeclareDead = command({
  name: "node declare-dead",
  summary: "Say that a node will never use its datasets again, so that others may",
  details: [
    "Only do this to a machine that is off or cut from its storage: if it still writes, the whole " +
      "volume may be destroyed. What it wrote without syncing is lost. The datasets that it has " +
      "are shown first; the word of a person is recorded.",
    "Of a dataset on the node's own disks the newest fallback of another node is used from then " +
      "on; it is as old as the text says. What the dead node has is put aside, never removed, and " +
      "`flockerctl copies rescue` makes a dataset of it. Without a fallback nothing is shown " +
      "anywhere before that node is back.",
    "Refused while the node answers, unless --force is given.",
  ],
  examples: [
    "flockerctl node declare-dead 1acbab49",
    "flockerctl node declare-dead 1acbab49 --yes",
  ],
  args: {
    node: { kind: "positional", help: "Beginning of its id, or its host", parse: nonEmpty },
    yes: { kind: "flag", help: "Do not ask" },
    force: { kind: "flag", help: "Although the node answers" },
  },
  async run({ node: prefix, yes, force }, { output, connect, confirm }: CliContext) {
    const client = await connect();
    const cluster = await lookAtCluster(client);
    const found = selectNode(cluster.nodes, prefix);
    const { uuid, host } = found;
    for (const line of heldLines(found, cluster)) output.talk(line);
    await confirm(`Type ${host} to declare it dead: `, host, yes);
    const answer = await client.declareDead(uuid, force ? { force } : {});
    output.answer(
      answer,
      () => `declared ${uuid} dead: ${counted(answer.overridden.length, "claim")} ended.\n`,
    );
  },
});
