import type { ServiceDefinition } from "./service.ts";

/** What a host is, apart from what its disk holds; kept while it is powered off. */
export type HostRecord = {
  readonly name: string;
  readonly number: number;
  /** 32 hex digits, stable over boots; a clone has another one. */
  readonly machineId: string;
  readonly services: readonly ServiceDefinition[];
  /** Has nothing of ours: no programs on PATH, no certificates, no agent. */
  readonly bare: boolean;
};

/** What the first process of a host is told; host-init.ts turns its namespaces into that host. */
export type InitOrders = {
  readonly host: HostRecord;
  readonly bedRoot: string;
  readonly checkout: string;
  readonly directory: string;
  readonly diskImage: string;
  readonly seed: string;
  readonly sanMount: string;
  readonly initRecord: string;
  readonly cgroupMembers: string;
};
