/** A program that a host keeps running, as systemd would. */
export type ServiceDefinition = {
  readonly name: string;
  readonly command: readonly string[];
  readonly logFile: string;
  /** Written when it has been started, removed when it was stopped. */
  readonly pidFile?: string;
  /** Removed before it starts: what a killed one leaves and a next one would trip over. */
  readonly staleFiles?: readonly string[];
  /** It waits until this exists, but not for ever: as `Before=` and `Type=notify` in systemd. */
  readonly after?: { readonly path: string; readonly msMax: number };
};

export type ServiceRequest = {
  readonly verb: "start" | "stop" | "status";
  readonly service?: string;
};

export type ServiceReply =
  | { readonly kind: "done"; readonly pids: Readonly<Record<string, number | null>> }
  | { readonly kind: "refused"; readonly message: string };

/** Where a host's supervisor listens, as the host itself sees it. */
export const supervisorSocket = "/run/testbed/supervisor.sock";
export const servicesFile = "/run/testbed/services.json";
