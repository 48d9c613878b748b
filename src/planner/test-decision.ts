import { parseClusterId } from "../domain/ids.ts";
import { fresh } from "../domain/record-samples.ts";
import type { Identity } from "../domain/volume.ts";
import { unreachable } from "../lib/assert.ts";
import type { Decision } from "./decision.ts";
import type { LocalDecision } from "./local-action.ts";

/** A decision as text: the step, the report, or the condition. */
export function textOf(decision: Decision | LocalDecision): string {
  switch (decision.kind) {
    case "act":
      return decision.action.kind;
    case "report":
      return `says ${decision.report.kind}`;
    case "wait":
      return decision.condition.code;
    case "done":
      return "done";
    default:
      return unreachable(decision);
  }
}

/** What a sentence for a person ends with: a command, or what to do with the storage. */
export const wayOut = /: flocker|mount its disk|(?:Put|Bring|bring|restore|Remove) (?:it|the|all)/;

/** Of the sample dataset, as `generation` used it last. */
export function identityOf(generation: number): Identity {
  const { datasetId, lineage } = fresh;
  const clusterId = parseClusterId("f0000000-0000-4000-8000-000000000001");
  return { clusterId, datasetId, lineage, generation };
}
