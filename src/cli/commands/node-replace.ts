import { type CliContext, command, nonEmpty } from "../command.ts";
import { selectNode } from "../select.ts";

export const nodeReplace = command({
  name: "node replace",
  summary: "Settle a clash: the machine that speaks now is the node, the other one is not",
  details: [
    "Two machines with one node certificate, as after cloning a virtual machine, get no claims " +
      "until a person says which one is meant. Switch the other one off first.",
  ],
  examples: ["flockerctl node replace 1acbab49", "flockerctl node replace 1acbab49 --yes"],
  args: {
    node: { kind: "positional", help: "Beginning of its id, or its host", parse: nonEmpty },
    yes: { kind: "flag", help: "Do not ask" },
  },
  async run({ node: prefix, yes }, { output, connect, confirm }: CliContext) {
    const client = await connect();
    const { uuid, host } = selectNode((await client.listNodes()).nodes, prefix);
    await confirm(`Is the other machine with ${uuid} switched off? Type ${host}: `, host, yes);
    const answer = await client.replaceNode(uuid);
    output.answer(answer, () => `node ${uuid} is now the machine at ${host}.\n`);
  },
});
