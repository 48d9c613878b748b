import { command, nonEmpty } from "../cli/command.ts";
import type { FlockerContext } from "./flocker-context.ts";

/** For authors of drivers, ours and others. */
export const driverTest = command({
  name: "driver test",
  summary: "Try a storage driver against the contract that every driver must keep",
  details: [
    "It runs one case for each sentence of the port that the driver implements, as two nodes would " +
      "use it, on this machine and as root. For each case that fails it prints the sentence, every " +
      "request that the driver got and what it did, and the difference. Volumes are made and " +
      "destroyed: never name a storage that is in use.",
    "The file of --config holds the driver's keys as a pool in agent.yml does; for a driver of a " +
      "node's own disks it holds them twice, under `here` and `there`. Such pools stay, with the " +
      "copies that only a person removes.",
    "The exit status is 0 if all cases passed, 1 if one failed, 2 if the command line is wrong.",
  ],
  examples: [
    "flocker driver test ./my-driver.mjs --config my-pool.yml",
    "flocker driver test btrfs --config two-pools.yml --json",
  ],
  args: {
    driver: {
      kind: "positional",
      help: "A built-in driver, or the package or path of a module",
      parse: nonEmpty,
    },
    config: {
      kind: "option",
      value: "file",
      help: "YAML with the driver's keys (default: none)",
      parse: nonEmpty,
    },
  },
  async run(args, { output, ended }: FlockerContext) {
    const { testDriver } = await import("./driver-test.ts");
    if (!(await testDriver(args.driver, args.config, output))) ended(1);
  },
});
