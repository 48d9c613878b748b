// Runs in each host, below its init: starts the host's services, and again what was killed. One
// JSON object a line on a socket asks it to start, stop or name them.
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type Socket, createServer } from "node:net";
import { dirname } from "node:path";
import {
  type ServiceDefinition,
  type ServiceReply,
  type ServiceRequest,
  servicesFile,
  supervisorSocket,
} from "./service.ts";
import { until } from "./linux/until.ts";

const restartMs = 500;
const stopMsMax = 30_000;

/** One service: wanted or not, running or not. */
class Service {
  readonly definition: ServiceDefinition;
  #wanted = false;
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(definition: ServiceDefinition) {
    this.definition = definition;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async start(): Promise<void> {
    this.#wanted = true;
    const { after } = this.definition;
    if (after !== undefined) {
      // When the time is over it starts all the same: the other one may be broken.
      await until(after.path, after.msMax, () => existsSync(after.path)).catch(() => {});
    }
    this.#spawn();
  }

  async stop(): Promise<void> {
    this.#wanted = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#child;
    if (child === null) return;
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
    await until(`the end of ${this.definition.name}`, 2 * stopMsMax, () => this.#child === null);
    clearTimeout(kill);
    if (this.definition.pidFile !== undefined) rmSync(this.definition.pidFile, { force: true });
  }

  #spawn(): void {
    if (!this.#wanted || this.#child !== null) return;
    const { command, logFile, staleFiles = [] } = this.definition;
    const [program = "", ...args] = command;
    for (const file of staleFiles) rmSync(file, { force: true });
    mkdirSync(dirname(logFile), { recursive: true });
    const log = openSync(logFile, "a");
    const child = spawn(program, args, { stdio: ["ignore", log, log], detached: true, cwd: "/" });
    closeSync(log);
    this.#child = child;
    const ended = (): void => {
      if (this.#child !== child) return;
      this.#child = null;
      if (this.#wanted) this.#timer = setTimeout(() => this.#spawn(), restartMs);
    };
    child.on("exit", ended);
    child.on("error", ended);
    if (child.pid !== undefined) this.#writePid(child.pid);
  }

  #writePid(pid: number): void {
    const { pidFile } = this.definition;
    if (pidFile === undefined) return;
    mkdirSync(dirname(pidFile), { recursive: true });
    writeFileSync(`${pidFile}.new`, `${pid}\n`);
    renameSync(`${pidFile}.new`, pidFile);
  }
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by host-init.ts
const definitions = JSON.parse(readFileSync(servicesFile, "utf8")) as ServiceDefinition[];
const services = new Map(definitions.map((one) => [one.name, new Service(one)]));

async function answer({ verb, service }: ServiceRequest): Promise<ServiceReply> {
  const asked = service === undefined ? [...services.values()] : [services.get(service)];
  for (const one of asked) {
    if (one === undefined) {
      const names = [...services.keys()].join(", ");
      return { kind: "refused", message: `no service ${service} here; there are: ${names}` };
    }
    if (verb === "stop") await one.stop();
    if (verb === "start") void one.start();
  }
  const pids = [...services].map(([name, one]): [string, number | null] => [name, one.pid]);
  return { kind: "done", pids: Object.fromEntries(pids) };
}

async function reply(socket: Socket, line: string): Promise<void> {
  let answered: ServiceReply;
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own command sends it
    answered = await answer(JSON.parse(line) as ServiceRequest);
  } catch (error) {
    answered = { kind: "refused", message: error instanceof Error ? error.message : "failed" };
  }
  socket.end(`${JSON.stringify(answered)}\n`);
}

rmSync(supervisorSocket, { force: true });
createServer((socket) => {
  let text = "";
  socket.setEncoding("utf8");
  socket.on("error", () => {}); // The one who asked is gone.
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (text.endsWith("\n")) void reply(socket, text);
  });
}).listen(supervisorSocket);
