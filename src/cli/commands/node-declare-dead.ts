import { type CliContext, command } from "../command.ts";
import { counted } from "./held-datasets.ts";
import { wordAboutNode, wordAboutNodeArgs } from "./word-about-node.ts";

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
  args: { ...wordAboutNodeArgs, force: { kind: "flag", help: "Although the node answers" } },
  async run({ force, ...args }, context: CliContext) {
    const { client, node } = await wordAboutNode(
      context,
      args,
      ({ host }) => `Type ${host} to declare it dead: `,
    );
    const answer = await client.declareDead(node.uuid, force ? { force } : {});
    const claims = counted(answer.overridden.length, "claim");
    context.output.answer(answer, () => `declared ${node.uuid} dead: ${claims} ended.\n`);
  },
});
