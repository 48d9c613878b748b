import type { ApiClient } from "../client/api-client.ts";
import { type CliContext, type Output, type RawValues, parseArgs } from "./command.ts";
import { type AskPerson, confirmWith } from "./confirm.ts";
import { copiesList, copiesRescue } from "./commands/copies.ts";
import { create } from "./commands/create.ts";
import { destroy } from "./commands/destroy.ts";
import { list } from "./commands/list.ts";
import { listNodes } from "./commands/list-nodes.ts";
import { move } from "./commands/move.ts";
import { nodeDeclareDead } from "./commands/node-declare-dead.ts";
import { nodeRemove } from "./commands/node-remove.ts";
import { nodeReplace } from "./commands/node-replace.ts";
import { show } from "./commands/show.ts";
import { trashEmpty, trashList, trashRestore } from "./commands/trash.ts";
import { version } from "./commands/version.ts";
import { type Surroundings, connectionArgs, findTarget } from "./connection.ts";
import type { Program } from "./program.ts";

export const flockerctl: Program<CliContext> = {
  name: "flockerctl",
  summary: "Look after the datasets of a Flocker cluster",
  details: [
    "Certificates are looked for in the options, the environment (FLOCKER_CERTS_PATH, " +
      "FLOCKER_USER, FLOCKER_CONTROL_SERVICE), beside cluster.yml, in the current directory and " +
      "in /etc/flocker.",
    "The exit status is 0, 1 if something could not be done, 2 if the command line is wrong, 70 " +
      "for a bug.",
  ],
  examples: ["flockerctl ls", "flockerctl --control-service h1 --user alice ls --json"],
  globals: connectionArgs,
  commands: [
    version,
    listNodes,
    list,
    show,
    create,
    move,
    destroy,
    trashList,
    trashRestore,
    trashEmpty,
    copiesList,
    copiesRescue,
    nodeDeclareDead,
    nodeRemove,
    nodeReplace,
  ],
  withoutCommand: "error",
};

export type FlockerctlWorld = {
  readonly surroundings: Surroundings;
  readonly ask: AskPerson;
  /** Receives the client that the command opened, to be closed at the end. */
  readonly opened: (client: ApiClient) => void;
};

/** What the commands get, for one run. */
export function flockerctlContext(
  { surroundings, ask, opened }: FlockerctlWorld,
  globals: RawValues,
  output: Output,
): CliContext {
  let waiting = false;
  return {
    output,
    connect: async () => {
      const { host, port, files } = await findTarget(
        parseArgs(connectionArgs, globals),
        surroundings,
      );
      const [{ createApiClient }, { clientTls, loadTls }] = await Promise.all([
        import("../client/api-client.ts"),
        import("../ca/tls.ts"),
      ]);
      const tls = clientTls(await loadTls(files, "user"), "TLSv1.2");
      const client = createApiClient({
        host,
        port,
        tls,
        onWaiting: () => {
          if (!waiting) output.talk(`Waiting for the control service at ${host}:${port} …`);
          waiting = true;
        },
      });
      opened(client);
      return client;
    },
    confirm: confirmWith(ask),
  };
}
