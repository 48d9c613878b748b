import { noFlaws } from "../world/world.ts";
import { createsTwice, nothingIsLate } from "./agent-mutants.ts";
import { cleanHost, listingDriver, nameHost } from "./blind-host.ts";
import {
  allAgain,
  anyInstance,
  clonesAreReboots,
  neverBehind,
  opsStay,
  timerGrants,
} from "./control-mutants.ts";
import {
  bothWays,
  flippedBase,
  openFiles,
  partials,
  remountsSealed,
  roomy,
  showsFallback,
  sealedUntold,
  unsynced,
} from "./local-mutants.ts";
import type { Mutant } from "./mutant.ts";

const attachable = { datasets: 1, local: 0, workMs: 2_000, deletes: 0 } as const;
const local = { datasets: 1, local: 1, poolBytes: 2 ** 30, workMs: 2_000, deletes: 0 } as const;

/** Planted bugs of moves, of the store and of what is asked too often. */
export const moreMutants: readonly Mutant[] = [
  {
    name: "b2",
    says: "a silent node is taken for a dead one after half a minute",
    checker: "K1",
    traits: { ...attachable, exclusive: "advisory", nodeFaultMs: 8_000, straggler: 0.3 },
    flaws: () => ({ ...noFlaws, control: timerGrants }),
  },
  {
    name: "b3",
    says: "a superseded node ends its containers and unmounts cleanly",
    checker: "K1",
    traits: { ...attachable, exclusive: "advisory", personMs: 8_000, networkFaultMs: 8_000 },
    flaws: () => ({ ...noFlaws, agent: { host: cleanHost } }),
  },
  {
    name: "b6",
    says: "a clone of a node is taken for its reboot",
    checker: "K1",
    traits: { ...attachable, exclusive: "advisory", identityFaultMs: 15_000 },
    flaws: () => ({ ...noFlaws, control: clonesAreReboots }),
  },
  {
    name: "b8",
    says: "a restored store grants what it granted before",
    checker: "K2",
    traits: { ...attachable, storeFaultMs: 20_000 },
    flaws: () => ({ ...noFlaws, control: neverBehind, trustsBackups: true }),
  },
  {
    name: "b10",
    says: "two control services of one term are taken for one",
    checker: "K2",
    traits: { ...attachable, storeFaultMs: 15_000, networkFaultMs: 8_000 },
    flaws: () => ({ ...noFlaws, control: anyInstance, trustsCopies: true }),
  },
  {
    name: "b11",
    says: "a source answers a Mount of what it has sealed",
    checker: "K3",
    traits: { ...local, messageDelayMsMax: 20_000 },
    flaws: () => ({ ...noFlaws, agent: remountsSealed }),
  },
  {
    name: "b12",
    says: "a move is committed before its target has synced",
    checker: "K3",
    traits: { ...local, nodeFaultMs: 6_000 },
    flaws: () => ({ ...noFlaws, agent: { local: unsynced } }),
  },
  {
    name: "b13",
    says: "an open file writes after the last snapshot",
    checker: "K3",
    traits: { ...local, straggler: 1 },
    flaws: () => ({ ...noFlaws, agent: { local: openFiles } }),
  },
  {
    name: "b14",
    says: "a base was changed between its receive and its use",
    checker: "K3",
    traits: local,
    flaws: () => ({ ...noFlaws, agent: { local: flippedBase } }),
  },
  {
    name: "b15",
    says: "an abort and a commit of one move are both accepted",
    checker: "K3",
    traits: { ...local, messageDelayMsMax: 20_000 },
    flaws: () => ({ ...noFlaws, control: bothWays() }),
  },
  {
    name: "b17",
    says: "a device is found by its name, which may be another's by then",
    checker: "K4",
    traits: { ...attachable, datasets: 3, deviceFaultMs: 2_000, childHang: 0.3 },
    flaws: () => ({ ...noFlaws, agent: { host: nameHost } }),
  },
  {
    name: "b18",
    says: "a part of a stream is taken for all of it",
    checker: "K4",
    traits: { ...local, streamFaultMs: 2_000 },
    flaws: () => ({ ...noFlaws, agent: { local: partials } }),
  },
  {
    name: "b19",
    says: "a fallback, older than what was committed, is shown as live",
    checker: "K4",
    traits: local,
    flaws: () => ({ ...noFlaws, agent: showsFallback }),
  },
  {
    name: "b21",
    says: "a create whose answer was lost makes another volume",
    checker: "K5",
    traits: { ...attachable, storageFault: 0.4, deletes: 0.3 },
    flaws: () => ({ ...noFlaws, agent: { ...createsTwice, ...nothingIsLate } }),
  },
  {
    name: "b22",
    says: "what diverged is removed to make room",
    checker: "K6",
    traits: { ...local, personMs: 15_000, nodeFaultMs: 15_000 },
    flaws: () => ({ ...noFlaws, agent: { local: roomy } }),
  },
  {
    name: "b29",
    says: "a failed sync of the store is ignored",
    checker: "K8",
    traits: { ...attachable, controlFaultMs: 8_000, deletes: 0.3 },
    flaws: () => ({ ...noFlaws, control: { ignoresFailedSync: true } }),
  },
  {
    name: "b38",
    says: "an op whose executor has gone is never taken from it",
    checker: "K11",
    traits: { ...attachable, personMs: 10_000, nodeFaultMs: 10_000, agentFaultMs: 8_000 },
    flaws: () => ({ ...noFlaws, control: opsStay }),
  },
  {
    name: "b39",
    says: "the target is not told again that the source is sealed",
    checker: "K11",
    traits: { ...local, controlFaultMs: 20_000 },
    flaws: () => ({ ...noFlaws, agent: sealedUntold }),
  },
  {
    name: "b42",
    says: "every agent lists the whole account at each look",
    checker: "K13",
    traits: attachable,
    flaws: () => ({ ...noFlaws, agent: { driver: listingDriver } }),
  },
  {
    name: "b43",
    says: "a hello is answered with everything, known or not",
    checker: "K13",
    traits: { ...attachable, networkFaultMs: 10_000 },
    flaws: () => ({ ...noFlaws, control: allAgain }),
  },
];
