import { type CliContext, command, nonEmpty } from "../command.ts";
import { selectNode } from "../select.ts";

export const nodeRemove = command({
  name: "node remove",
  summary: "Take a node out of the cluster; its certificate is refused from then on",
  details: ["Move its datasets away first, or declare it dead."],
  examples: ["flockerctl node remove 1acbab49", "flockerctl node remove 1acbab49 --yes"],
  args: {
    node: { kind: "positional", help: "Beginning of its id, or its host", parse: nonEmpty },
    yes: { kind: "flag", help: "Do not ask" },
  },
  async run({ node: prefix, yes }, { output, connect, confirm }: CliContext) {
    const client = await connect();
    const { uuid, host } = selectNode((await client.listNodes()).nodes, prefix);
    await confirm(`Node ${uuid} will be refused for ever. Type ${host} to remove it: `, host, yes);
    const answer = await client.removeNode(uuid);
    output.answer(answer, () => `removed node ${uuid} (${host}).\n`);
  },
});
