import { engineCgroup } from "./linux/cgroups.ts";
import type { ServiceDefinition } from "./service.ts";

/** Where an engine finds the agent. */
export const pluginSocket = "/run/docker/plugins/flocker/flocker.sock";

/** `plain`: without `--live-restore`, so that its next start ends what it left running. */
export type EngineKind = "none" | "live_restore" | "plain";

export type HostServices = {
  readonly bedId: string;
  readonly bare: boolean;
  readonly engine: EngineKind;
  readonly control: boolean;
};

/** What a host runs, in the order in which it is started. */
export function servicesFor(host: string, what: HostServices): readonly ServiceDefinition[] {
  return [
    ...(what.control && !what.bare ? [control] : []),
    ...(what.bare ? [] : [agent]),
    ...(what.engine === "none" ? [] : [engine(host, what)]),
  ];
}

export function engineKindOf(services: readonly ServiceDefinition[]): EngineKind {
  const found = services.find(({ name }) => name === "dockerd");
  if (found === undefined) return "none";
  return found.command.includes("--live-restore") ? "live_restore" : "plain";
}

const control: ServiceDefinition = {
  name: "control",
  command: [
    "/usr/local/bin/flocker",
    "control",
    "--data-path",
    "/var/lib/flocker/control",
    "--certificates-directory",
    "/etc/flocker",
  ],
  logFile: "/var/log/flocker/control.log",
  pidFile: "/run/flocker/control.pid",
};

const agent: ServiceDefinition = {
  name: "agent",
  command: ["/usr/local/bin/flocker", "agent", "--agent-config", "/etc/flocker/agent.yml"],
  logFile: "/var/log/flocker/agent.log",
  pidFile: "/run/flocker/agent.pid",
};

function engine(host: string, { bedId, bare, engine: kind }: HostServices): ServiceDefinition {
  const definition: ServiceDefinition = {
    name: "dockerd",
    command: [
      "dockerd",
      ...(kind === "live_restore" ? ["--live-restore"] : []),
      `--cgroup-parent=${engineCgroup(bedId, host)}`,
      "--exec-opt",
      "native.cgroupdriver=cgroupfs",
    ],
    logFile: "/var/log/dockerd.log",
    staleFiles: ["/run/docker.pid"],
  };
  if (bare) return definition;
  // An engine that starts before its plugin waits for it, up to 90 s, and then does without.
  return {
    ...definition,
    after: { path: pluginSocket, msMax: 5_000 },
  };
}
