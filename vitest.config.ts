import { defineConfig } from "vitest/config";

/**
 * `unit` runs on any laptop without root. The others need root, Docker or loop devices: `./test`
 * runs them, but for `matrix`, which takes long and is run by hand before a release.
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
          fileParallelism: false,
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
