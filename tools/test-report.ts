/** Passed and failed of one kind of test. */
export type Count = { passed: number; failed: number };

/** Kinds in the order in which the summary shows them; none of them may be without a test. */
export const requiredKinds = [
  "checks",
  "unit",
  "property",
  "seeds",
  "mutants",
  "conformance memory",
  "conformance memory local",
  "conformance loopback",
  "conformance btrfs",
  "conformance store memory",
  "conformance store sqlite",
  "integration",
  "acceptance",
] as const;

/** What vitest's JSON reporter writes, as far as it is read here. */
export type VitestReport = {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly status: string;
    }[];
  }[];
};

/** Counts by kind. Everything that is not a passed test is a failed one, skipped tests included. */
export class Tally {
  readonly #counts = new Map<string, Count>();

  constructor() {
    for (const kind of requiredKinds) this.#counts.set(kind, { passed: 0, failed: 0 });
  }

  add(kind: string, { passed, failed }: Count): void {
    const before = this.#counts.get(kind) ?? { passed: 0, failed: 0 };
    this.#counts.set(kind, { passed: before.passed + passed, failed: before.failed + failed });
  }

  /** Adds the results of one vitest project; `exitStatus` counts when no test explains it. */
  addVitest(project: string, report: VitestReport | null, exitStatus: number): void {
    let failed = 0;
    for (const file of report?.testResults ?? []) {
      for (const { ancestorTitles, status } of file.assertionResults) {
        const good = status === "passed";
        if (!good) failed += 1;
        this.add(kindOf(project, file.name, ancestorTitles), oneOf(good));
      }
      const broken = file.status !== "passed" && file.assertionResults.length === 0;
      if (broken) failed += 1;
      if (broken) this.add(project, oneOf(false));
    }
    if ((report === null || exitStatus !== 0) && failed === 0) this.add(project, oneOf(false));
  }

  /**
   * The summary: a line for each kind, those without any test named, the total in the last line.
   */
  lines(): readonly string[] {
    const kinds = [...this.#counts].map(([kind, count]) => {
      const none = count.passed + count.failed === 0;
      const text = none
        ? "none, which is a failure"
        : `${count.passed} passed, ${count.failed} failed`;
      return `${kind.padEnd(26)} ${text}`;
    });
    const { passed, failed } = this.total();
    return [...kinds, `${passed} passed, ${failed} failed`];
  }

  total(): Count {
    const counts = [...this.#counts.values()];
    const empty = counts.filter(({ passed, failed }) => passed + failed === 0).length;
    return {
      passed: counts.reduce((sum, { passed }) => sum + passed, 0),
      failed: counts.reduce((sum, { failed }) => sum + failed, empty),
    };
  }
}

export function oneOf(good: boolean): Count {
  return good ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function kindOf(project: string, file: string, titles: readonly string[]): string {
  const conformance = /^conformance ([^:]+)/.exec(titles[0] ?? "");
  if (conformance !== null) return `conformance ${conformance[1]?.trim()}`;
  return file.endsWith(".property.test.ts") ? "property" : project;
}
