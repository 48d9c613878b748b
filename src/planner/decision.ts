import type { Condition, ConditionCode } from "../domain/condition.ts";
import { condition } from "../domain/condition.ts";
import type { Report } from "../domain/report.ts";
import type { Action } from "./action.ts";

/** The answer of a cell. At most one next step; after it the node looks again. */
export type Decision =
  | { readonly kind: "act"; readonly action: Action }
  | { readonly kind: "report"; readonly report: Report }
  | { readonly kind: "wait"; readonly condition: Condition }
  | { readonly kind: "done" };

export const done: Decision = { kind: "done" };

export function act(action: Action): Decision {
  return { kind: "act", action };
}

export function report(what: Report): Decision {
  return { kind: "report", report: what };
}

export function wait(code: ConditionCode, message: string): Decision {
  return { kind: "wait", condition: condition(code, message) };
}
