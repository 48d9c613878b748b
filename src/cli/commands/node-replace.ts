import { type CliContext, command, nonEmpty } from "../command.ts";
import { selectNode } from "../select.ts";
import { heldLines, lookAtCluster } from "./held-datasets.ts";

export const nodeReplace = command({
  name: "node replace",
  summary: "Settle a clash: the machine that speaks now is the node, the other one is not",
  details: [
    "Two machines with one node certificate, as after cloning a virtual machine, get no claims " +
      "until a person says which one is meant. Switch the other one off first.",
    "If the machine that was the node before is not connected, what it had ends as with " +
      "declare-dead: it is shown first.",
  ],
  examples: ["flockerctl node replace 1acbab49", "flockerctl node replace 1acbab49 --yes"],
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
    await confirm(`Is the other machine with ${uuid} switched off? Type ${host}: `, host, yes);
    const answer = await client.replaceNode(uuid);
    output.answer(answer, () => `node ${uuid} is now the machine at ${host}.\n`);
  },
});
