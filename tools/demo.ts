import { join } from "node:path";
import { messageOf } from "../src/lib/errors.ts";
import { tellStory } from "./demo-story.ts";
import { checkMachine, setUp } from "./setup.ts";
import { Bed } from "./testbed/bed.ts";
import { enterCommand } from "./testbed/host.ts";
import { buildImage } from "./testbed/image.ts";

const usage = `Two hosts on this machine, each with its own Docker Engine, and a volume that follows.

  ./demo                               show it, then remove everything
  ./demo --keep                        show it, and leave the hosts up
  ./demo exec HOST COMMAND...          run a command in a host: h1 (control service), h2
  ./demo down                          remove the hosts and all that they hold

  ./demo up [N]                        only bring up N hosts (2), and leave them up
  ./demo ls                            which hosts there are
  ./demo stop|start HOST SERVICE       control, agent or dockerd
  ./demo crash HOST                    power loss: what was not synced is gone
  ./demo boot HOST                     power on again
  ./demo pause|resume HOST             stop all processes of a host, let them go on
  ./demo clone HOST                    copy a host, its disk and certificates included
  ./demo partition|heal [-1] A B       cut or mend their network (-1: only from A to B)
`;

class UsageError extends Error {}

process.chdir(join(import.meta.dirname, ".."));
const bed = new Bed({ purpose: "demo", checkout: process.cwd(), defaultPool: "btrfs" });

/** Everything that the set-up of the machine and of this checkout can do before hosts are made. */
async function prepare(): Promise<void> {
  checkMachine();
  const busy = bed.busyWith();
  if (busy !== null)
    throw new Error(`another ./demo is running (process ${busy.pid}); end it first`);
  cleanUpWhenInterrupted();
  await setUp();
  await buildImage(bed.paths);
}

/**
 * Becomes a process that removes the hosts: whatever this one was about to do ends with it, and so
 * does its hold on the lock.
 */
function cleanUpWhenInterrupted(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      console.error("flocker: interrupted; removing the hosts");
      const script = join(import.meta.dirname, "demo.ts");
      process.execve?.(process.execPath, [process.execPath, script, "interrupted"], process.env);
    });
  }
}

/** As ssh would: the command takes the place of this process, so nothing stands between. */
function execIn(host: string, command: readonly string[]): void {
  const [program = "", ...args] = enterCommand(bed.paths, host, command);
  process.execve?.(`/bin/${program}`, [program, ...args], process.env);
}

function needed(args: readonly string[], count: number, what: string): readonly string[] {
  if (args.length !== count) throw new UsageError(`${what} needed`);
  return args;
}

/** `./demo down h2` must not remove every host: it was not what was meant. */
function nothingAfter(verb: string, args: readonly string[]): void {
  if (args.length > 0) throw new UsageError(`nothing can follow ${verb}, but ${args[0]} does`);
}

async function network(verb: "partition" | "heal", args: readonly string[]): Promise<void> {
  const oneWay = args[0] === "-1";
  const [a = "", b = ""] = needed(oneWay ? args.slice(1) : args, 2, "two hosts");
  if (a === b) throw new UsageError("two different hosts needed");
  if (verb === "heal") await bed.heal(a, b);
  else await bed.partition(a, b, oneWay);
}

function list(): void {
  for (const { name } of bed.hosts()) {
    const condition = bed.isUp(name) ? (bed.isPaused(name) ? "paused" : "up") : "off";
    console.log(`${name} ${condition}`);
  }
}

async function bringUp(count: number): Promise<void> {
  if (!Number.isInteger(count) || count < 1 || count > 32)
    throw new UsageError("a number of hosts from 1 to 32 needed");
  await prepare();
  await bed.up(count);
  bed.keep();
}

async function dispatch(verb: string, args: readonly string[]): Promise<void> {
  const [host = ""] = args;
  switch (verb) {
    case "":
    case "--keep":
      nothingAfter(verb, args);
      await prepare();
      return tellStory(bed, verb === "--keep");
    case "up":
      nothingAfter("the number of hosts", args.slice(1));
      return bringUp(Number(args[0] ?? 2));
    case "down":
    case "interrupted":
      nothingAfter(verb, args);
      await bed.down();
      process.exitCode = verb === "interrupted" ? 130 : 0;
      return;
    case "exec":
      if (args.length < 2) throw new UsageError("a host and a command needed");
      return execIn(host, args.slice(1));
    case "ls":
      nothingAfter(verb, args);
      return list();
    case "stop":
    case "start": {
      const [where = "", service = ""] = needed(args, 2, "a host and a service");
      return bed.service(verb, where, service);
    }
    case "crash":
    case "boot":
    case "pause":
    case "resume":
      needed(args, 1, "a host");
      return bed[verb](host);
    case "clone":
      needed(args, 1, "a host");
      console.log(await bed.clone(host));
      return;
    case "partition":
    case "heal":
      return network(verb, args);
    case "help":
    case "--help":
    case "-h":
      console.log(usage);
      return;
    default:
      throw new UsageError(`no such command: ${verb}`);
  }
}

try {
  const [verb = "", ...args] = process.argv.slice(2);
  if (process.getuid?.() !== 0 && !["help", "--help", "-h"].includes(verb)) checkMachine();
  await dispatch(verb, args);
} catch (error) {
  console.error(`flocker: ${messageOf(error)}`);
  if (error instanceof UsageError) console.error(`\n${usage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
