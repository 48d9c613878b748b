import type { Prng } from "./prng.ts";

/** Which faults rage in one seed, and how often; most are off in most seeds (swarm testing). */
export type Traits = {
  readonly nodes: number;
  readonly datasets: number;
  readonly exclusive: "enforced" | "advisory";
  readonly operationMsMax: number;
  readonly safetyMs: number;
  /** Mean time between actions of users, ms. */
  readonly workMs: number;
  /** Mean time between faults of machines and processes, ms; Infinity: none. */
  readonly agentFaultMs: number;
  readonly nodeFaultMs: number;
  readonly controlFaultMs: number;
  readonly networkFaultMs: number;
  readonly engineFaultMs: number;
  readonly personMs: number;
  readonly storeFaultMs: number;
  readonly identityFaultMs: number;
  /** Chance that one request of the storage meets each fate. */
  readonly storageFault: number;
  /** Mean time between spells in which the storage does not show what it has, ms. */
  readonly storageHideMs: number;
  /** Longest fsync of the store. */
  readonly syncMsMax: number;
  readonly childHang: number;
  readonly straggler: number;
  readonly messageDelayMsMax: number;
  readonly wallJumps: boolean;
  readonly deletes: number;
  /** Chance that a dataset lives in the nodes' own pools. */
  readonly local: number;
  readonly poolBytes: number;
  /** A volume's content besides what writers append is one to four times this. */
  readonly bulkBytes: number;
  /** Mean time between streams that break, ms. */
  readonly streamFaultMs: number;
  /** Mean time between losses and set-backs of pools, ms. */
  readonly poolFaultMs: number;
  /** Mean time between resets of a node's bus, ms. */
  readonly deviceFaultMs: number;
};

/** Draws the swarm's options of one seed. */
export function drawTraits(prng: Prng): Traits {
  const often = (probability: number, low: number, high: number): number =>
    prng.chance(probability) ? prng.between(low, high) * 1_000 : Infinity;
  const drawn: Omit<Traits, "personMs" | "storeFaultMs" | "identityFaultMs" | "storageHideMs"> = {
    nodes: prng.between(2, 3),
    datasets: prng.between(1, 3),
    exclusive: prng.chance(0.5) ? "enforced" : "advisory",
    operationMsMax: 20_000,
    safetyMs: prng.between(100, 300) * 1_000,
    workMs: prng.between(2, 15) * 1_000,
    agentFaultMs: often(0.4, 10, 60),
    nodeFaultMs: often(0.35, 20, 80),
    controlFaultMs: often(0.35, 15, 60),
    networkFaultMs: often(0.35, 10, 50),
    engineFaultMs: often(0.25, 20, 80),
    storageFault: prng.chance(0.4) ? prng.between(2, 20) / 100 : 0,
    syncMsMax: prng.chance(0.8) ? 12 : 1_500,
    childHang: prng.chance(0.3) ? prng.between(1, 10) / 100 : 0,
    straggler: prng.chance(0.3) ? 0.3 : 0,
    messageDelayMsMax: prng.chance(0.5) ? 20 : 2_000,
    wallJumps: prng.chance(0.3),
    deletes: prng.chance(0.5) ? 0.08 : 0,
    local: prng.chance(0.5) ? 1 : prng.between(0, 1) / 2,
    poolBytes: prng.chance(0.9) ? 2 ** 30 : 12 * 2 ** 20,
    bulkBytes: 2 ** 20,
    streamFaultMs: often(0.3, 5, 30),
    poolFaultMs: often(0.15, 40, 120),
    deviceFaultMs: often(0.2, 5, 40),
  };
  // Drawn last: a seed's other faults stay what they were.
  return {
    ...drawn,
    personMs: often(0.2, 20, 90),
    identityFaultMs: often(0.15, 20, 80),
    storageHideMs: often(0.2, 15, 60),
    storeFaultMs: Infinity,
  };
}

/** No faults at all: what scenarios start from. */
export const calm: Traits = {
  nodes: 2,
  datasets: 1,
  exclusive: "enforced",
  operationMsMax: 20_000,
  safetyMs: 0,
  workMs: Infinity,
  agentFaultMs: Infinity,
  nodeFaultMs: Infinity,
  controlFaultMs: Infinity,
  networkFaultMs: Infinity,
  engineFaultMs: Infinity,
  personMs: Infinity,
  storeFaultMs: Infinity,
  identityFaultMs: Infinity,
  storageFault: 0,
  storageHideMs: Infinity,
  syncMsMax: 12,
  childHang: 0,
  straggler: 0,
  messageDelayMsMax: 5,
  wallJumps: false,
  deletes: 0,
  local: 0,
  poolBytes: 2 ** 30,
  bulkBytes: 2 ** 20,
  streamFaultMs: Infinity,
  poolFaultMs: Infinity,
  deviceFaultMs: Infinity,
};
