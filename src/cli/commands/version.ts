import { FlockerError } from "../../lib/errors.ts";
import { version as ownVersion } from "../../lib/version.ts";
import { type CliContext, UsageError, command } from "../command.ts";

export const version = command({
  name: "version",
  summary: "Print the versions of this program and of the control service",
  details: ["Succeeds without a control service too: its version is null then."],
  examples: ["flockerctl version", "flockerctl version --json"],
  args: {},
  async run(_args, { output, connect }: CliContext) {
    const flocker = await controlVersion({ connect, output });
    output.answer({ flocker, flockerctl: ownVersion }, () =>
      [
        `flockerctl ${ownVersion}`,
        ...(flocker === null ? [] : [`control service ${flocker}`]),
        "",
      ].join("\n"),
    );
  },
});

async function controlVersion({
  connect,
  output,
}: Pick<CliContext, "connect" | "output">): Promise<string | null> {
  try {
    const client = await connect();
    return (await client.version()).flocker;
  } catch (error) {
    if (!(error instanceof FlockerError || error instanceof UsageError)) throw error;
    output.talk(`The version of the control service is not known: ${error.message}`);
    return null;
  }
}
