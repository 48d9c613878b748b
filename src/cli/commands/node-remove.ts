import { type CliContext, command, nonEmpty } from "../command.ts";
import { selectNode } from "../select.ts";
import { heldLines, lookAtCluster } from "./held-datasets.ts";

export const nodeRemove = command({
  name: "node remove",
  summary: "Take a node out of the cluster; its certificate is refused from then on",
  details: [
    "It is declared dead with that: move the datasets that it has away first. They are shown; " +
      "what was not synced is lost. Refused while the node answers.",
  ],
  examples: ["flockerctl node remove 1acbab49", "flockerctl node remove 1acbab49 --yes"],
  args: {
    node: { kind: "positional", help: "Beginning of its id, or its host", parse: nonEmpty },
    yes: { kind: "flag", help: "Do not ask" },
  },
  async run({ node: prefix, yes }, { output, connect, confirm }: CliContext) {
    const client = await connect();
    const cluster = await lookAtCluster(client);
    const found = selectNode(cluster.nodes, prefix);
    const { uuid, host } = found;
    for (const line of heldLines(found, cluster)) output.talk(line);
    await confirm(`Node ${uuid} will be refused for ever. Type ${host} to remove it: `, host, yes);
    const answer = await client.removeNode(uuid);
    output.answer(answer, () => `removed node ${uuid} (${host}).\n`);
  },
});
