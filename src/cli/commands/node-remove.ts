import { type CliContext, command } from "../command.ts";
import { wordAboutNode, wordAboutNodeArgs } from "./word-about-node.ts";

export const nodeRemove = command({
  name: "node remove",
  summary: "Take a node out of the cluster; its certificate is refused from then on",
  details: [
    "It is declared dead with that: move the datasets that it has away first. They are shown; " +
      "what was not synced is lost. Refused while the node answers.",
  ],
  examples: ["flockerctl node remove 1acbab49", "flockerctl node remove 1acbab49 --yes"],
  args: wordAboutNodeArgs,
  async run(args, context: CliContext) {
    const { client, node } = await wordAboutNode(
      context,
      args,
      ({ uuid, host }) => `Node ${uuid} will be refused for ever. Type ${host} to remove it: `,
    );
    const { uuid, host } = node;
    const answer = await client.removeNode(uuid);
    context.output.answer(answer, () => `removed node ${uuid} (${host}).\n`);
  },
});
