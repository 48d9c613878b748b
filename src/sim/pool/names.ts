export const localPoolName = "disk";

/** Where a dataset of this name is made: local ones are called after their pool. */
export function poolOf(name: string): string | null {
  return name.startsWith(localPoolName) ? localPoolName : null;
}
