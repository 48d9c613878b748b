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

type Of<Kind extends Decision["kind"]> = Extract<Decision, { readonly kind: Kind }>;

export const done: Of<"done"> = { kind: "done" };

export function act(action: Action): Decision {
  return { kind: "act", action };
}

export function report(what: Report): Of<"report"> {
  return { kind: "report", report: what };
}

export function wait(code: ConditionCode, message: string): Of<"wait"> {
  return { kind: "wait", condition: condition(code, message) };
}
