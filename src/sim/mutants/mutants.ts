import { timings } from "../../agent/core/timings.ts";
import { noFlaws } from "../world/world.ts";
import {
  absentCreates,
  deniesCutOff,
  laggingNames,
  noUserHold,
  nothingIsLate,
  oldWishes,
  releaseOnce,
  remountsAtStart,
} from "./agent-mutants.ts";
import { blindHost, lazyDriver, unprovenHost } from "./blind-host.ts";
import { noGenerationCheck, noSessionCheck, oldSessionReleases } from "./control-mutants.ts";
import { moreMutants } from "./more-mutants.ts";
import type { Mutant } from "./mutant.ts";
import { trashMutants } from "./trash-mutants.ts";
import { truthMutants } from "./truth-mutants.ts";

/** Makes the windows wider in which these bugs show; no bug of its own. */
const noLinger = { ...timings, lingerMs: 0 };
const shared = { datasets: 1, local: 0, workMs: 2_000, deletes: 0 } as const;
const flaky = { ...shared, messageDelayMsMax: 4_000, networkFaultMs: 8_000 } as const;

/** The planted bugs of the safety model's test plan, each with the checker that must find it. */
export const mutants: readonly Mutant[] = [
  {
    name: "b1",
    says: "late detaches and attaches are not waited for",
    checker: "K1",
    traits: { ...shared, storageFault: 0.3, nodes: 2 },
    flaws: () => ({
      ...noFlaws,
      agent: { ...nothingIsLate, timings: noLinger },
    }),
  },
  {
    name: "b4",
    says: "release is answered from the host's own mountinfo",
    checker: "K1",
    traits: { ...shared, workMs: 9_000, exclusive: "advisory", straggler: 1 },
    flaws: () => ({
      ...noFlaws,
      agent: { host: blindHost, driver: lazyDriver, timings: noLinger },
    }),
  },
  {
    name: "b5",
    says: "a lazy detach is taken for a detach",
    checker: "K1",
    traits: { ...shared, workMs: 9_000, exclusive: "advisory", straggler: 1 },
    flaws: () => ({
      ...noFlaws,
      agent: { host: unprovenHost, driver: lazyDriver, timings: noLinger },
    }),
  },
  {
    name: "b7",
    says: "pushes leave before their commit is durable",
    checker: "K2",
    traits: { ...shared, syncMsMax: 3_000, controlFaultMs: 8_000 },
    flaws: () => ({ ...noFlaws, control: { pushesEarly: true } }),
  },
  {
    name: "b9",
    says: "a release of an older session is accepted",
    checker: "K2",
    traits: flaky,
    flaws: () => ({ ...noFlaws, control: oldSessionReleases }),
  },
  {
    name: "b16",
    says: "a volume that is not seen is created",
    checker: "K4",
    traits: { ...shared, storageHideMs: 20_000 },
    flaws: () => ({ ...noFlaws, agent: absentCreates }),
  },
  {
    name: "b20",
    says: "a new agent does not wait for the lock of an orphan's mkfs",
    checker: "K5",
    traits: { ...shared, agentFaultMs: 4_000, childHang: 0.3, deletes: 0.3 },
    flaws: () => ({ ...noFlaws, agent: { ignoresLocks: true } }),
  },
  {
    name: "b26",
    says: "a user is dropped between its Mount and its bind",
    checker: "K7",
    traits: shared,
    flaws: () => ({ ...noFlaws, agent: noUserHold }),
  },
  {
    name: "b28",
    says: "answers leave before their commit is durable",
    checker: "K8",
    traits: { ...shared, syncMsMax: 3_000, controlFaultMs: 8_000, deletes: 0.3 },
    flaws: () => ({ ...noFlaws, control: { answersEarly: true } }),
  },
  {
    name: "b30",
    says: "a negative comes from a list of names that lags",
    checker: "K9",
    traits: shared,
    flaws: () => ({ ...noFlaws, agent: laggingNames() }),
  },
  {
    name: "b31",
    says: "a known name is denied while the control service is away",
    checker: "K9",
    traits: { ...shared, controlFaultMs: 8_000 },
    flaws: () => ({ ...noFlaws, agent: deniesCutOff }),
  },
  {
    name: "b32",
    says: "an empty body is acted on",
    checker: "K9",
    traits: { ...shared, agentFaultMs: 3_000 },
    flaws: () => ({
      ...noFlaws,
      parseEmpty: (call) => (call.kind === "list" ? call : { ...call, name: "" }),
    }),
  },
  {
    name: "b33",
    says: "a Mount that the engine gave up on is carried out",
    checker: "K9",
    traits: { ...shared, engineFaultMs: 6_000 },
    flaws: () => ({ ...noFlaws, forgetsAbandoned: true }),
  },
  {
    name: "b36",
    says: "an old wish steals in the gap of a restart",
    checker: "K11",
    traits: shared,
    flaws: () => ({ ...noFlaws, agent: oldWishes }),
  },
  {
    name: "b37",
    says: "a lost release is not repeated",
    checker: "K11",
    traits: shared,
    flaws: () => ({ ...noFlaws, agent: releaseOnce }),
  },
  {
    name: "b41",
    says: "a restarted agent remounts what it should adopt",
    checker: "K12",
    traits: { ...shared, agentFaultMs: 6_000 },
    flaws: () => ({ ...noFlaws, agent: remountsAtStart }),
  },
  {
    name: "no-generation-check",
    says: "the record's function does not compare generations",
    checker: "K2",
    traits: { ...shared, messageDelayMsMax: 20_000, engineFaultMs: 4_000 },
    flaws: () => ({ ...noFlaws, control: noGenerationCheck }),
  },
  {
    name: "no-session-check",
    says: "messages of older sessions count",
    checker: "K2",
    traits: flaky,
    flaws: () => ({ ...noFlaws, control: noSessionCheck }),
  },
  ...moreMutants,
  ...trashMutants,
  ...truthMutants,
];
