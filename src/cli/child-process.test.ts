import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ExecResult, exec } from "../lib/exec.ts";
import {
  type TestControlService,
  nodeA,
  startTestControlService,
  testDataset,
  testNode,
} from "./test-control-service.ts";

const id = "5540d6e3-392b-4da0-828a-34b724c5bb80";
let service: TestControlService;
let directory: string;

beforeAll(async () => {
  service = await startTestControlService();
  service.nodes = [testNode(nodeA, "10.0.0.1")];
  service.datasets = [testDataset(id, { phase: "attached", metadata: { name: "shop" } })];
  directory = await mkdtemp(join(tmpdir(), "flocker-child-"));
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** The real program, in a process of its own, on the Node.js that runs the tests. */
function run(program: "flockerctl" | "flocker-ca", ...args: string[]): Promise<ExecResult> {
  const statuses = Array.from({ length: 128 }, (_, index) => index);
  return exec(process.execPath, [join("src/main", `${program}.ts`), ...args], {
    deadlineMs: 20_000,
    okStatuses: statuses,
  });
}

function flockerctl(...args: string[]): Promise<ExecResult> {
  const target = ["--control-service", "127.0.0.1", "--control-port", String(service.port)];
  return run("flockerctl", "--certs-path", service.cluster.directory, ...target, ...args);
}

describe("flockerctl as a process", () => {
  test("prints the answer on standard output alone and exits with 0", async () => {
    expect(await flockerctl("ls")).toEqual({
      status: 0,
      stderr: "",
      stdout:
        "DATASET                                SIZE     METADATA    STATUS       SERVER              \n" +
        `${id}   10.00G   name=shop   attached ✅   1acbab49 (10.0.0.1) \n\n`,
    });
  });

  test("exits with 1 when something could not be done, 2 when the command line is wrong", async () => {
    const failed = await flockerctl("show", "nothing");
    expect(failed).toEqual({
      status: 1,
      stdout: "",
      stderr: "Error: no dataset uuids matching nothing\n",
    });
    const wrong = await flockerctl();
    expect(wrong).toEqual({
      status: 2,
      stdout: "",
      stderr: "Please specify a command.\nTry --help for usage details.\n",
    });
  });

  test("asks nobody without a terminal", async () => {
    const asked = await flockerctl("node", "remove", "1acb");
    expect(asked.status).toBe(2);
    expect(asked.stderr).toContain("must specify --yes");
  });
});

describe("flocker-ca as a process", () => {
  test("prints the original's texts and makes the original's files", async () => {
    const both = ["-i", service.cluster.directory, "-o", directory];

    const control = await run(
      "flocker-ca",
      "create-control-certificate",
      "ctl.example.com",
      ...both,
    );
    expect(control.stdout).toBe(
      "Created control-ctl.example.com.crt and control-ctl.example.com.key\n" +
        "Copy these files to the directory /etc/flocker on your control service machine.\n" +
        "Rename the files to control-service.crt and control-service.key and set the correct " +
        "permissions by running chmod 0600 on both files.\n",
    );
    const node = await run("flocker-ca", "create-node-certificate", ...both);
    const [, uuid = ""] = /^Created ([0-9a-f-]{36})\.crt/.exec(node.stdout) ?? [];
    expect(node.stdout).toBe(
      `Created ${uuid}.crt. Copy it over to /etc/flocker/node.crt on your node machine and make ` +
        "sure to chmod 0600 it.\n",
    );
    const user = await run("flocker-ca", "create-api-certificate", "alice", ...both);
    expect(user.stdout).toBe(
      "Created alice.crt. You can now give it to your API enduser so they can access the control " +
        "service API.\n",
    );
  });

  test("exits with 1 and one line of reason, 2 on wrong usage, 0 with help", async () => {
    const nowhere = join(directory, "nowhere");
    const failed = await run("flocker-ca", "create-node-certificate", "-i", nowhere);
    expect(failed).toEqual({
      status: 1,
      stdout: "",
      stderr:
        "Error: Unable to load certificate authority file. Please run `flocker-ca initialize` to " +
        `generate a new certificate authority. No such file or directory ${nowhere}/cluster.crt\n`,
    });
    expect(await run("flocker-ca", "create-api-certificate")).toMatchObject({ status: 2 });
    expect(await run("flocker-ca")).toMatchObject({ status: 0, stderr: "" });
  });

  test("a bug exits with 70 and asks to report it", async () => {
    const broken = join(directory, "broken.ts");
    const root = process.cwd();
    await writeFile(
      broken,
      `import { runProgram } from "${root}/src/cli/run-program.ts";
       import { flockerCa } from "${root}/src/cli/flocker-ca.ts";
       const { stdout, stderr } = process;
       process.exitCode = await runProgram(
         flockerCa,
         ["initialize", "x"],
         { terminal: false, out: (text) => stdout.write(text), err: (text) => stderr.write(text) },
         () => { throw new TypeError("planted"); },
       );`,
    );
    const { status, stderr } = await exec(process.execPath, [broken], {
      deadlineMs: 20_000,
      okStatuses: [70],
    });
    expect(status).toBe(70);
    expect(stderr).toContain("Error: planted\nThis is a bug of flocker-ca");
  });
});
