import type { Traits } from "../traits.ts";
import type { Flaws } from "../world/world.ts";

/** A bug that is planted through injected parts; the product's code has no switch for it. */
export type Mutant = {
  readonly name: string;
  readonly says: string;
  /** The checker that must find it. */
  readonly checker: string;
  /** Faults that lead towards it; the rest is drawn from the seed. */
  readonly traits: Partial<Traits>;
  /** Made anew for each run. */
  readonly flaws: () => Flaws;
};
