import { engineCgroup } from "./linux/cgroups.ts";
import type { ServiceDefinition } from "./service.ts";

/** Where an engine finds the agent. */
export const pluginSocket = "/run/docker/plugins/flocker/flocker.sock";

/** What a host runs, in the order in which it is started. */
export function servicesFor(
  host: string,
  what: {
    readonly bedId: string;
    readonly bare: boolean;
    readonly engine: boolean;
    readonly control: boolean;
  },
): readonly ServiceDefinition[] {
  return [
    ...(what.control && !what.bare ? [control] : []),
    ...(what.bare ? [] : [agent]),
    ...(what.engine ? [engine(what.bedId, host, what.bare)] : []),
  ];
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

function engine(bedId: string, host: string, bare: boolean): ServiceDefinition {
  const definition: ServiceDefinition = {
    name: "dockerd",
    command: [
      "dockerd",
      "--live-restore",
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
