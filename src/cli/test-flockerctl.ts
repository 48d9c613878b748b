import type { AskPerson } from "./confirm.ts";
import { flockerctl, flockerctlContext } from "./flockerctl.ts";
import { runProgram } from "./run-program.ts";
import type { TestControlService } from "./test-control-service.ts";

export type Ran = { readonly status: number; readonly out: string; readonly err: string };

/** Runs `flockerctl` with the words of `line` against `service`, in this process. */
export async function runFlockerctl(
  { port, cluster }: TestControlService,
  line: string,
  ask: AskPerson = null,
): Promise<Ran> {
  const printed = { out: "", err: "" };
  using clients = new DisposableStack();
  const where = ["--control-service", "127.0.0.1", "--control-port", String(port)];
  const status = await runProgram(
    flockerctl,
    [...where, "--certs-path", cluster.directory, ...line.split(" ")],
    {
      terminal: false,
      out: (text) => void (printed.out += text),
      err: (text) => void (printed.err += text),
    },
    (globals, output) =>
      flockerctlContext(
        {
          surroundings: { env: {}, directory: "/nowhere", hostDirectory: "/nowhere" },
          ask,
          opened: (client) => void clients.use(client),
        },
        globals,
        output,
      ),
  );
  return { status, ...printed };
}
