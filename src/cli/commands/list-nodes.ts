import type { NodeView } from "../../protocol/api.ts";
import { type CliContext, command } from "../command.ts";
import { formatTable } from "../table.ts";

export const listNodes = command({
  name: "list-nodes",
  aliases: ["status"],
  summary: "List the nodes of the cluster",
  details: ["A node that is not connected is named on standard error, with the reason."],
  examples: ["flockerctl list-nodes", "flockerctl status --long", "flockerctl list-nodes --json"],
  args: { long: { kind: "flag", short: "l", help: "Whole ids" } },
  async run({ long }, { output, connect }: CliContext) {
    const client = await connect();
    const answer = await client.listNodes();
    output.answer(answer, () => {
      const present = answer.nodes.filter(isPresent);
      const rows = present.map(({ uuid, host }) => [long ? uuid : uuid.slice(0, 8), host]);
      return formatTable([["SERVER", "ADDRESS"], ...rows]);
    });
    for (const node of answer.nodes) {
      if (node.status !== "connected" && node.status !== "removed") output.talk(absence(node));
    }
  },
});

/** A node that a person declared dead or removed is no server any more. */
function isPresent({ status }: NodeView): boolean {
  return status !== "removed" && status !== "dead";
}

const statusTexts: Readonly<Record<NodeView["status"], string>> = {
  connected: "is connected",
  silent: "does not answer",
  clash: "clashes with another machine that has the same certificate",
  removed: "was removed",
  went_back: "was set back to an older state",
  dead: "was declared dead",
};

function absence({ uuid, host, status, condition, last_seen: lastSeen }: NodeView): string {
  const seen = status === "silent" && lastSeen !== null ? `, last seen ${lastSeen}` : "";
  const why = condition === null ? "" : `: ${condition.message}`;
  return `Node ${uuid.slice(0, 8)} (${host}) ${statusTexts[status]}${seen}${why}`;
}
