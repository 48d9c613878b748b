import { Bed } from "../../tools/testbed/bed.ts";
import { type Outcome, execIn, fileIn } from "../../tools/testbed/host.ts";
import { engineReady } from "../../tools/testbed/engine.ts";
import { smallImage } from "./plugin-image.ts";

const host = "h1";

/** One host with a Docker Engine of its own and nothing of ours, and the image `small`. */
export class EngineBed {
  readonly #bed: Bed;

  private constructor(bed: Bed) {
    this.#bed = bed;
  }

  /** `purpose` names what it leaves when it is killed: the next one of that name cleans up. */
  static async up(purpose: string, stack: AsyncDisposableStack): Promise<EngineBed> {
    const bed = new Bed({ purpose, bare: true });
    stack.defer(() => bed.down());
    await bed.up(1);
    const made = new EngineBed(bed);
    const imported = await execIn(bed.paths, host, ["docker", "import", "-", "small"], {
      input: await smallImage(),
    });
    if (imported.status !== 0) throw new Error(imported.stderr);
    return made;
  }

  /** A file of the host, by a path that this process can open. */
  file(path: string): string {
    return fileIn(this.#bed.paths, host, path);
  }

  /** Runs a command in the host, whatever its status. */
  exec(...command: string[]): Promise<Outcome> {
    return execIn(this.#bed.paths, host, command);
  }

  /** Runs a command in the host and returns what it printed; another status than 0 throws. */
  async run(...command: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.exec(...command);
    if (status !== 0) throw new Error(`${command.join(" ")}: ${status}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  async docker(...args: string[]): Promise<string> {
    return this.run("docker", ...args);
  }

  /** Removes all containers and the volumes of the engine's own. */
  async tidy(): Promise<void> {
    await this.run("sh", "-c", "docker ps -aq | xargs -r docker rm -fv");
    await this.run("sh", "-c", "docker volume ls -q | xargs -r docker volume rm");
  }

  stopEngine(): Promise<void> {
    return this.#bed.service("stop", host, "dockerd");
  }

  startEngine(): Promise<void> {
    return this.#bed.service("start", host, "dockerd");
  }

  /** Kills the engine as a crash would; it is started again by itself. */
  async killEngine(): Promise<void> {
    const pid = await this.run("cat", "/run/docker.pid");
    await this.run("kill", "-KILL", pid);
    await this.run("sh", "-c", `while kill -0 ${pid} 2>/dev/null; do sleep 0.05; done`);
  }

  engineReady(): Promise<void> {
    return engineReady(this.#bed.paths, host);
  }
}
