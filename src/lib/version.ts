/** Kept equal to package.json by `tests/docs/version.test.ts`. */
export const version = "2.0.0-dev.1";
