import type { ApiClient } from "../../client/api-client.ts";
import type { NodeView } from "../../protocol/api.ts";
import { type CliContext, nonEmpty } from "../command.ts";
import { selectNode } from "../select.ts";
import { heldLines, lookAtCluster } from "./held-datasets.ts";

/** What each command is given by which a person says that a node is gone. */
export const wordAboutNodeArgs = {
  node: { kind: "positional", help: "Beginning of its id, or its host", parse: nonEmpty },
  yes: { kind: "flag", help: "Do not ask" },
} as const;

/** Finds the node, shows what is lost without it, and resolves once its host's name was typed. */
export async function wordAboutNode(
  { output, connect, confirm }: CliContext,
  { node: prefix, yes }: { readonly node: string; readonly yes: boolean },
  question: (node: NodeView) => string,
): Promise<{ readonly client: ApiClient; readonly node: NodeView }> {
  const client = await connect();
  const cluster = await lookAtCluster(client);
  const node = selectNode(cluster.nodes, prefix);
  for (const line of heldLines(node, cluster)) output.talk(line);
  await confirm(question(node), node.host, yes);
  return { client, node };
}
