import { type CliContext, command } from "../command.ts";
import { wordAboutNode, wordAboutNodeArgs } from "./word-about-node.ts";

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
  args: wordAboutNodeArgs,
  async run(args, context: CliContext) {
    const { client, node } = await wordAboutNode(
      context,
      args,
      ({ uuid, host }) => `Is the other machine with ${uuid} switched off? Type ${host}: `,
    );
    const { uuid, host } = node;
    const answer = await client.replaceNode(uuid);
    context.output.answer(answer, () => `node ${uuid} is now the machine at ${host}.\n`);
  },
});
