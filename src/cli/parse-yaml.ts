import { parse } from "yaml";

/**
 * Loaded when there is a file to be read. In a module of our own, as a bundle gives only `default` to
 * who imports a CommonJS package at run time.
 */
export function parseYaml(text: string): unknown {
  return parse(text);
}
