import { type Output, command, nonEmpty } from "./command.ts";
import type { Program } from "./program.ts";

/** What the commands of flocker-ca get. */
export type CaContext = {
  readonly output: Output;
  readonly directory: string;
  readonly nowMs: () => number;
};

const directories = {
  inputpath: {
    kind: "option",
    short: "i",
    value: "directory",
    help: "Directory with cluster.crt and cluster.key (default: the current one)",
    parse: nonEmpty,
  },
  outputpath: {
    kind: "option",
    short: "o",
    value: "directory",
    help: "Directory to write to (default: the current one)",
    parse: nonEmpty,
  },
} as const;

type Directories = {
  readonly inputpath: string | undefined;
  readonly outputpath: string | undefined;
};

function directoriesOf(
  { inputpath, outputpath }: Directories,
  { directory }: CaContext,
): { input: string; output: string } {
  return { input: inputpath ?? directory, output: outputpath ?? directory };
}

/** Loaded when it is needed: `--help` and a mistyped option need no cryptography. */
const maker = () => import("../ca/create-credential.ts");

const initialize = command({
  name: "initialize",
  summary: "Make the certificate authority of a new cluster in the current directory",
  details: ["Keep cluster.key where only you can read it; back it up: it cannot be made again."],
  examples: ["flocker-ca initialize mycluster"],
  args: { name: { kind: "positional", help: "Name of the cluster", parse: nonEmpty } },
  async run({ name }, { output, directory, nowMs }: CaContext) {
    const { initializeAuthority } = await maker();
    const created = await initializeAuthority(directory, name, nowMs());
    output.answer(
      created,
      () =>
        "Created cluster.key and cluster.crt. Please keep cluster.key secret, as anyone who can " +
        "access it will be able to control your cluster.\n",
    );
  },
});

const createControlCertificate = command({
  name: "create-control-certificate",
  summary: "Make the certificate of the control service",
  details: ["Clients that check what they dialled need the host name or address given here."],
  examples: [
    "flocker-ca create-control-certificate control.example.com",
    "flocker-ca create-control-certificate 10.0.0.5 --outputpath /tmp/certificates",
  ],
  args: {
    hostname: {
      kind: "positional",
      help: "Host name or IP address of the control service",
      parse: nonEmpty,
    },
    ...directories,
  },
  async run({ hostname, ...given }, context: CaContext) {
    const { createControlCredential } = await maker();
    const where = directoriesOf(given, context);
    const created = await createControlCredential(where, hostname, context.nowMs());
    context.output.answer(
      created,
      () =>
        `Created ${created.base}.crt and ${created.base}.key\n` +
        "Copy these files to the directory /etc/flocker on your control service machine.\n" +
        "Rename the files to control-service.crt and control-service.key and set the correct " +
        "permissions by running chmod 0600 on both files.\n",
    );
  },
});

const createNodeCertificate = command({
  name: "create-node-certificate",
  summary: "Make the certificate of a new node",
  details: ["One for each machine, never copied to another: it is the node's identity."],
  examples: ["flocker-ca create-node-certificate --inputpath /root/ca --outputpath /tmp"],
  args: directories,
  async run(given, context: CaContext) {
    const { createNodeCredential } = await maker();
    const created = await createNodeCredential(directoriesOf(given, context), context.nowMs());
    context.output.answer(
      created,
      () =>
        `Created ${created.base}.crt. Copy it over to /etc/flocker/node.crt on your node machine ` +
        "and make sure to chmod 0600 it.\n",
    );
  },
});

const createApiCertificate = command({
  name: "create-api-certificate",
  summary: "Make the certificate of a user of the API, of flockerctl for example",
  examples: ["flocker-ca create-api-certificate alice"],
  args: {
    username: { kind: "positional", help: "Name of the user", parse: nonEmpty },
    ...directories,
  },
  async run({ username, ...given }, context: CaContext) {
    const { createUserCredential } = await maker();
    const where = directoriesOf(given, context);
    const created = await createUserCredential(where, username, context.nowMs());
    context.output.answer(
      created,
      () =>
        `Created ${created.base}.crt. You can now give it to your API enduser so they can access ` +
        "the control service API.\n",
    );
  },
});

export const flockerCa: Program<CaContext> = {
  name: "flocker-ca",
  summary: "Make the TLS certificates of a Flocker cluster",
  details: [
    "They identify the control service, the nodes and the users of the API. The exit status is " +
      "0, 1 if something could not be done, 2 if the command line is wrong, 70 for a bug.",
  ],
  examples: ["flocker-ca initialize mycluster", "flocker-ca create-api-certificate alice"],
  globals: {},
  commands: [initialize, createControlCertificate, createNodeCertificate, createApiCertificate],
  withoutCommand: "help",
};
