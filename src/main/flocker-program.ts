import { command, nonEmpty } from "../cli/command.ts";
import type { Program } from "../cli/program.ts";
import type { ControlSettings } from "./control.ts";
import { driverTest } from "./driver-command.ts";
import type { FlockerContext } from "./flocker-context.ts";
import { parseEndpoint, parseLogLevel } from "./parse-settings.ts";

const dataPathDefault = "/var/lib/flocker/control";
const certificatesDefault = "/etc/flocker";

const dataPath = {
  kind: "option",
  short: "d",
  value: "directory",
  help: `Directory of the store (default: ${dataPathDefault})`,
  parse: nonEmpty,
} as const;

const logLevel = {
  kind: "option",
  value: "level",
  help: "error, warn, info or debug (default: info)",
  parse: parseLogLevel,
} as const;

const control = command({
  name: "control",
  summary: "Run the control service",
  details: [
    "It serves the REST API to users and listens for the agents of the nodes, until it is told " +
      "to stop (SIGTERM). It logs to standard error, one JSON object a line. One runs in a cluster.",
  ],
  examples: [
    "flocker control",
    "flocker control --data-path /srv/flocker --port tcp:4523 --agent-port tcp:4524",
  ],
  args: {
    dataPath,
    certificatesDirectory: {
      kind: "option",
      value: "directory",
      help:
        "Directory of cluster.crt, control-service.crt and control-service.key " +
        `(default: ${certificatesDefault})`,
      parse: nonEmpty,
    },
    port: {
      kind: "option",
      short: "p",
      value: "port",
      help: "Port of the REST API, also as tcp:PORT:interface=ADDRESS (default: 4523)",
      parse: parseEndpoint,
    },
    agentPort: {
      kind: "option",
      short: "a",
      value: "port",
      help: "Port for the agents, in the same forms (default: 4524)",
      parse: parseEndpoint,
    },
    pidFile: {
      kind: "option",
      value: "file",
      help: "Written once it serves (default: /run/flocker/control.pid)",
      parse: nonEmpty,
    },
    acceptCopy: {
      kind: "flag",
      help: "Use a store that was copied from another machine; it is read-only until recovered",
    },
    logLevel,
  },
  async run(args, context: FlockerContext) {
    const settings: ControlSettings = {
      dataPath: args.dataPath ?? dataPathDefault,
      certificatesDirectory: args.certificatesDirectory ?? certificatesDefault,
      rest: args.port ?? { host: null, port: 4523 },
      agents: args.agentPort ?? { host: null, port: 4524 },
      pidFile: args.pidFile ?? "/run/flocker/control.pid",
      acceptCopy: args.acceptCopy,
      logLevel: args.logLevel ?? "info",
    };
    const { runControl } = await import("./control.ts");
    await runControl(settings, context);
  },
});

const backup = command({
  name: "control backup",
  summary: "Copy the store to a new file, also while the control service runs",
  details: [
    "Never copy the store's files by other means: a copy that a control service is started on " +
      "must be known as one. Put a backup in place of store.sqlite in the data path of a stopped " +
      "control service, then run `flocker control recover`.",
  ],
  examples: ["flocker control backup /srv/backup/flocker-monday.sqlite"],
  args: {
    file: { kind: "positional", help: "File to write; it must not exist", parse: nonEmpty },
    dataPath,
  },
  async run(args, { output }: FlockerContext) {
    const { backupControl } = await import("./control-store.ts");
    const answer = await backupControl(args.dataPath ?? dataPathDefault, args.file);
    output.answer(answer, () => `copied ${answer.store} to ${answer.file}\n`);
  },
});

const recover = command({
  name: "control recover",
  summary: "Let a store that was restored, copied or lost take up its work",
  details: [
    "For a stopped control service, also on an empty data path. From its next start on it " +
      "collects what the agents hold, and raises its numbers above all that they have seen. It " +
      "gives no dataset to anybody before every node that it knows has reported, or was declared " +
      "dead (`flockerctl node declare-dead`). Running containers keep what they have.",
  ],
  examples: ["flocker control recover", "flocker control recover --data-path /srv/flocker --yes"],
  args: { dataPath, yes: { kind: "flag", help: "Do not ask" } },
  async run(args, { output, confirm }: FlockerContext) {
    const path = args.dataPath ?? dataPathDefault;
    output.talk(`The store in ${path} will be taken for the only one of this cluster:`);
    output.talk("- no other control service of this cluster may run again, on no machine;");
    output.talk("- what changed since this store was written and no agent remembers is lost;");
    output.talk("- nothing is granted until every node has reported or was declared dead.");
    await confirm("Type recover to go on: ", "recover", args.yes);
    const { recoverControl } = await import("./control-store.ts");
    const answer = await recoverControl(path);
    output.answer(
      answer,
      () =>
        `The store is recovering (term ${answer.term}, ${answer.datasets} datasets, ` +
        `${answer.nodes} nodes). Start the control service; \`flockerctl list-nodes\` shows who ` +
        "has not reported.\n",
    );
  },
});

const agentConfigDefault = "/etc/flocker/agent.yml";

const agentConfig = {
  kind: "option",
  value: "file",
  help: `Its configuration (default: ${agentConfigDefault})`,
  parse: nonEmpty,
} as const;

const agent = command({
  name: "agent",
  summary: "Run the agent of this node: its volumes and its Docker plugin",
  details: [
    "It runs as root until it is told to stop (SIGTERM); mounted volumes stay mounted. It logs to " +
      "standard error, one JSON object a line.",
  ],
  examples: ["flocker agent", "flocker agent --agent-config /etc/flocker/agent.yml"],
  args: {
    agentConfig,
    logLevel,
  },
  async run(args, { createLog, untilStopped, ended }: FlockerContext) {
    const { agentPaths, runAgent } = await import("./agent.ts");
    const config = args.agentConfig ?? agentConfigDefault;
    const log = createLog(args.logLevel ?? "info", "agent");
    ended(await runAgent({ config, ...agentPaths }, log, untilStopped()));
  },
});

const unseal = command({
  name: "agent unseal",
  summary: "Open a volume that a move left sealed, when the control service is lost for good",
  details: [
    "A move seals the volume at its source: nobody mounts it before the control service has " +
      "recorded where it lives. This opens it again on this node, for a stopped agent, and is " +
      "refused while a control service answers. What the target already made live would be a " +
      "second one: look there first. It is mounted once a control service, recovered or new, " +
      "grants it. Each use is written to audit.log in the agent's data path.",
  ],
  examples: ["flocker agent unseal mydb"],
  args: {
    dataset: { kind: "positional", help: "Its name or its id", parse: nonEmpty },
    agentConfig,
    yes: { kind: "flag", help: "Do not ask" },
  },
  async run(args, { output, confirm, createLog }: FlockerContext) {
    const { agentPaths } = await import("./agent.ts");
    const { findSealed } = await import("./agent/unseal.ts");
    await using scope = new AsyncDisposableStack();
    const config = args.agentConfig ?? agentConfigDefault;
    const log = createLog("error", "agent");
    const found = await findSealed(args.dataset, { config, ...agentPaths }, log, scope);
    const { unseal: open, ...what } = found;
    output.talk(`Dataset ${what.dataset} (${what.name ?? "without a name"}), pool ${what.pool}:`);
    output.talk(`- sealed at generation ${what.generation} for move ${what.move};`);
    output.talk("- if its target made it live, there will be two, and one of them is lost.");
    await confirm(`Type ${args.dataset} to open it: `, args.dataset, args.yes);
    await open();
    output.answer(what, () => `opened ${what.dataset}; start the agent\n`);
  },
});

export const flocker: Program<FlockerContext> = {
  name: "flocker",
  summary: "Volumes that follow containers between Docker hosts: the services of a cluster",
  details: [
    "People use flockerctl; these are what systemd starts. The exit status is 0, 1 if something " +
      "could not be done, 2 if the command line is wrong, 70 for a failed store or a bug.",
  ],
  examples: ["flocker control", "flocker agent", "flocker control backup /srv/monday.sqlite"],
  globals: {},
  commands: [control, backup, recover, agent, unseal, driverTest],
  withoutCommand: "help",
};
