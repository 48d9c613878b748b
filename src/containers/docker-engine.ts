import { Agent } from "node:http";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { anonymousName } from "../domain/record.ts";
import { messageOf } from "../lib/errors.ts";
import {
  type Engine,
  type EngineAnswer,
  type EngineCall,
  type EngineContainer,
  type EngineEvent,
  type EngineOptions,
  type OurMounts,
  type StartOutcome,
  containerPrefix,
  isRunning,
  isShownPath,
  shouldRun,
} from "./engine.ts";
import { EventLines } from "./event-lines.ts";

const deadlineMs = 5_000;
/** The engine waits 60 s for each plugin that hangs. */
const loadDeadlineMs = 150_000;
/** A Mount may take 120 s. */
const startDeadlineMs = 150_000;
/** Containers that do not run and name our volumes, looked at one by one in a list. */
const inspectedMax = 100;
const retryMsMin = 250;
const retryMsMax = 5_000;
/** A stream that is silent for so long may be that of an engine that hangs. */
const silenceMsMax = 30_000;

/** The Docker Engine that serves `socketPath`, whether it is up or not. */
export class DockerEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #docker: Docker;
  /** For questions that cannot be aborted: its connections end by themselves. */
  readonly #impatient: Docker;

  constructor(options: EngineOptions) {
    this.#options = options;
    // An empty host, because DOCKER_HOST would win over the path. No connection is kept: one that
    // a restarted engine left would fail the next call.
    const modem = { host: "", protocol: "http", agent: new Agent({ keepAlive: false }) } as const;
    const where = { ...modem, socketPath: options.socketPath };
    this.#docker = new Docker(where);
    this.#impatient = new Docker({ ...where, timeout: deadlineMs });
  }

  containers({ signal }: EngineCall): Promise<EngineAnswer<readonly EngineContainer[]>> {
    return this.#ask(signal, deadlineMs, async (abortSignal) => {
      const all = await this.#docker.listContainers({ all: true, abortSignal });
      const listed = all.map(({ Id: id, Names: names, State: state, Mounts: mounts }) => ({
        id,
        name: (names[0] ?? "").replace(/^\//, ""),
        state,
        running: isRunning(state),
        waits: false,
        ...ourMounts(mounts, this.#options),
      }));
      return this.#withWaiting(listed, abortSignal);
    });
  }

  /**
   * Why a start failed is told by an inspection alone; only what names our volumes is asked. One
   * that cannot be inspected (it is half removed) must not cost the list: it does not wait.
   */
  async #withWaiting(
    listed: readonly EngineContainer[],
    abortSignal: AbortSignal,
  ): Promise<readonly EngineContainer[]> {
    const still = listed.filter(({ running, volumes }) => !running && volumes.length > 0);
    const waiting = new Set<string>();
    for (const { id } of still.slice(0, inspectedMax)) {
      const found = await this.#docker
        .getContainer(id)
        .inspect({ abortSignal })
        .catch(() => null);
      if (found !== null && waits(found, this.#options)) waiting.add(id);
    }
    return listed.map((one) => (waiting.has(one.id) ? { ...one, waits: true } : one));
  }

  container(prefix: string, { signal }: EngineCall): Promise<EngineAnswer<EngineContainer | null>> {
    return this.#ask(signal, deadlineMs, async (abortSignal) => {
      if (!containerPrefix.test(prefix)) return null;
      const found = await this.#docker
        .getContainer(prefix)
        .inspect({ abortSignal })
        .catch(nullIfNone);
      // The engine would also take the prefix for a name.
      if (found === null || !found.Id.startsWith(prefix)) return null;
      const state = found.State.Status;
      return {
        id: found.Id,
        name: found.Name.replace(/^\//, ""),
        state,
        running: isRunning(state),
        waits: waits(found, this.#options),
        ...ourMounts(found.Mounts, this.#options),
      };
    });
  }

  localVolumes({ signal }: EngineCall): Promise<EngineAnswer<readonly string[]>> {
    return this.#ask(signal, deadlineMs, async (abortSignal) => {
      const filters = { driver: ["local"] };
      const { Volumes: volumes } = await this.#docker.listVolumes({ filters, abortSignal });
      return volumes
        .filter(({ Driver: driver, Name: name }) => driver === "local" && !anonymousName.test(name))
        .map(({ Name: name }) => name)
        .sort();
    });
  }

  startWaiting(id: string, { signal }: EngineCall): Promise<EngineAnswer<StartOutcome>> {
    return this.#ask(signal, startDeadlineMs, async (abortSignal): Promise<StartOutcome> => {
      const container = this.#docker.getContainer(id);
      const found = await container.inspect({ abortSignal }).catch(nullIfNone);
      if (found === null || !waits(found, this.#options)) return { kind: "not_waiting" };
      try {
        await container.start({ abortSignal });
        return { kind: "started" };
      } catch (error) {
        const status = statusOf(error);
        if (status === null) throw error; // No answer of the engine: it may be away.
        if (status === 304 || status === 404) return { kind: "not_waiting" };
        return { kind: "failed", reason: messageOf(error).trim() };
      }
    });
  }

  loadDrivers({ signal }: EngineCall): Promise<EngineAnswer<readonly string[]>> {
    return this.#ask(signal, loadDeadlineMs, async (abortSignal) => {
      await this.#docker.listVolumes({ abortSignal });
      const info: unknown = await this.#impatient.info();
      return driversOf(info);
    });
  }

  async pid(): Promise<number | null> {
    const noted = await readFile(join(dirname(this.#options.socketPath), "docker.pid"), "utf8")
      .then((text) => text.trim())
      .catch(() => "");
    if (await isEngine(noted)) return Number(noted);
    const pids = await readdir("/proc").catch((): string[] => []);
    const found: number[] = [];
    for (const pid of pids) if (await isEngine(pid)) found.push(Number(pid));
    return found.length === 1 ? (found[0] ?? null) : null;
  }

  async watch(listener: (event: EngineEvent) => void, { signal }: EngineCall): Promise<void> {
    let retryMs = retryMsMin;
    let isDown = false;
    while (!signal.aborted) {
      const reason = await this.#follow(signal, (event) => {
        if (event.kind === "connected") {
          isDown = false;
          retryMs = retryMsMin;
        }
        listener(event);
      }).catch((error: unknown) => messageOf(error));
      if (signal.aborted) return;
      if (!isDown) {
        this.#options.log.warn("engine.disconnected", { reason });
        listener({ kind: "disconnected", reason });
      }
      isDown = true;
      await sleep(retryMs, undefined, { signal }).catch(() => {});
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }

  /** Follows one stream of events to its end; the answer is why it ended. */
  async #follow(signal: AbortSignal, listener: (event: EngineEvent) => void): Promise<string> {
    const over = new AbortController();
    const anySignal = AbortSignal.any([signal, over.signal]);
    try {
      const connected = await this.#ask(anySignal, deadlineMs, () => this.#events(over.signal));
      if (connected.kind === "unavailable") return connected.reason;
      const stream = connected.value;
      anySignal.addEventListener("abort", () => stream.destroy(), { once: true });
      this.#options.log.info("engine.connected", { socketPath: this.#options.socketPath });
      listener({ kind: "connected" });
      const lines = new EventLines();
      let heard = true;
      stream.setEncoding("utf8");
      stream.on("data", () => {
        heard = true;
      });
      const watchdog = this.#watchdog(over, () => {
        const before = heard;
        heard = false;
        return before;
      });
      try {
        for await (const chunk of stream) lines.push(String(chunk)).forEach(listener);
      } catch (error) {
        if (!over.signal.aborted) throw error; // Else it was cut here, and the watchdog knows why.
      }
      return over.signal.aborted ? await watchdog : "the engine ended its stream of events";
    } finally {
      over.abort();
    }
  }

  /** Ends a stream that is silent because the engine hangs; resolves with what to say of it. */
  async #watchdog(over: AbortController, heardSince: () => boolean): Promise<string> {
    while (!over.signal.aborted) {
      const silenceMs = this.#options.silenceMsMax ?? silenceMsMax;
      await sleep(silenceMs, undefined, { signal: over.signal }).catch(() => {});
      if (over.signal.aborted || heardSince()) continue;
      const answer = await this.#ask(over.signal, deadlineMs, () => this.#impatient.ping()).catch(
        () => null,
      );
      if (answer?.kind !== "unavailable") continue;
      over.abort();
      return answer.reason;
    }
    return "the stream of events was left";
  }

  /** From a second ago: the engine begins to listen to itself a moment after it has answered. */
  async #events(abortSignal: AbortSignal): Promise<NodeJS.ReadableStream & { destroy(): void }> {
    const stream = await this.#docker.getEvents({
      since: Math.floor(Date.now() / 1_000) - 1,
      filters: { type: ["container", "volume"], event: ["create", "start", "die", "destroy"] },
      abortSignal,
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is an IncomingMessage
    return stream as NodeJS.ReadableStream & { destroy(): void };
  }

  async #ask<T>(
    signal: AbortSignal,
    msMax: number,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<EngineAnswer<T>> {
    signal.throwIfAborted();
    const both = AbortSignal.any([signal, AbortSignal.timeout(msMax)]);
    try {
      // dockerode does not always settle when its signal aborts within an answer.
      return { kind: "answered", value: await Promise.race([work(both), rejection(both)]) };
    } catch (error) {
      signal.throwIfAborted();
      return { kind: "unavailable", reason: this.#reason(error, both.aborted, msMax) };
    }
  }

  #reason(error: unknown, late: boolean, msMax: number): string {
    const { socketPath } = this.#options;
    if (late) return `the Docker Engine at ${socketPath} gave no answer within ${msMax} ms`;
    return `the Docker Engine at ${socketPath} does not answer: ${messageOf(error).trim()}`;
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
  });
}

type Mounts = readonly {
  readonly Type?: string | undefined;
  readonly Name?: string | undefined;
  readonly Source: string;
  readonly Driver?: string | undefined;
}[];

function ourMounts(mounts: Mounts, ours: OurMounts): Pick<EngineContainer, "volumes" | "paths"> {
  const volumes = mounts
    .filter(({ Type: type, Driver: driver }) => type === "volume" && driver === ours.driver)
    .map(({ Name: name }) => name ?? "");
  const paths = mounts
    .filter(({ Type: type, Source: source }) => type === "bind" && isShownPath(source, ours))
    .map(({ Source: source }) => source);
  return { volumes: [...new Set(volumes)].sort(), paths: [...new Set(paths)].sort() };
}

/** See `EngineContainer.waits`. */
function waits(
  { State: state, HostConfig: config, Mounts: mounts }: Docker.ContainerInspectInfo,
  { driver }: OurMounts,
): boolean {
  if (isRunning(state.Status) || !shouldRun(config.RestartPolicy?.Name ?? "no")) return false;
  const drivers = mounts.flatMap((mount) => (mount.Type === "volume" ? [mount.Driver] : []));
  // The engine's words, of 20.10 and of 26.1, do not say whose plugin it was.
  const ours =
    drivers.includes(driver) && drivers.every((one) => one === driver || one === "local");
  return ours && state.Error.startsWith("error while mounting volume");
}

/** No such container, or more than one with the prefix. */
function nullIfNone(error: unknown): null {
  const status = statusOf(error);
  if (status === 404 || status === 400) return null;
  throw error;
}

/** The engine's status; null when there was no answer. */
function statusOf(error: unknown): number | null {
  const status: unknown =
    typeof error === "object" && error !== null && "statusCode" in error ? error.statusCode : null;
  return typeof status === "number" ? status : null;
}

function driversOf(info: unknown): readonly string[] {
  if (typeof info !== "object" || info === null || !("Plugins" in info)) return [];
  const { Plugins: plugins } = info;
  if (typeof plugins !== "object" || plugins === null || !("Volume" in plugins)) return [];
  const { Volume: drivers } = plugins;
  return Array.isArray(drivers) ? drivers.filter((name) => typeof name === "string") : [];
}

async function isEngine(pid: string): Promise<boolean> {
  if (!/^\d+$/.test(pid)) return false;
  const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
  return name.startsWith("dockerd");
}
