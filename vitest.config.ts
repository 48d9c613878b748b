import { defineConfig } from "vitest/config";

/**
 * `pure` and `unit` run on any laptop without root; the projects that need root, Docker or loop
 * devices are run by `./test` alone.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "tools/**/*.test.ts", "tests/docs/**/*.test.ts"],
          exclude: ["**/node_modules/**", "**/.cache/**"],
          pool: "threads",
          isolate: false,
          // Child processes of a busy machine start late; nothing here measures speed.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["tests/integration/**/*.test.ts"],
          pool: "forks",
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "acceptance",
          include: ["tests/acceptance/**/*.test.ts"],
          pool: "forks",
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: "matrix",
          include: ["tests/matrix/**/*.test.ts"],
          pool: "forks",
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: "spans",
          include: ["tests/spans/**/*.test.ts"],
          pool: "forks",
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
