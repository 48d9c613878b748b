import type { Static } from "typebox";
import { Check } from "typebox/value";
import { FlockerError } from "../lib/errors.ts";
import {
  configuredDataset,
  configuredDatasets,
  copiesPage,
  datasetPage,
  datasetView,
  declaredDead,
  errorBody,
  nodeList,
  nodeView,
  observedDatasets,
  observedNodes,
  trashPage,
  versionAnswer,
} from "../protocol/api.ts";
import { type Answer, type Endpoint, codeOf, nameOf } from "./request.ts";

const schemas = {
  configuredDataset,
  configuredDatasets,
  copiesPage,
  datasetPage,
  datasetView,
  declaredDead,
  nodeList,
  nodeView,
  observedDatasets,
  observedNodes,
  trashPage,
  versionAnswer,
} as const;

export type AnswerKind = keyof typeof schemas;
export type AnswerOf<Kind extends AnswerKind> = Static<(typeof schemas)[Kind]>;

/**
 * The body of `answer` if it is what was expected; the error that it carries, if it is one. This
 * module is loaded once something was asked: the schemas take longer than the rest of the start.
 */
export function checkedAnswer<Kind extends AnswerKind>(
  kind: Kind,
  answer: Answer,
  endpoint: Endpoint,
): AnswerOf<Kind> {
  if (answer.status >= 400) throw refusal(answer, endpoint);
  const schema: (typeof schemas)[Kind] = schemas[kind];
  const { body } = answer;
  if (Check(schema, body)) return body;
  throw new FlockerError(
    "PROTOCOL_ERROR",
    `${nameOf(endpoint)} answered in an unknown form (no ${kind}): ` +
      "its version and this program's do not fit",
  );
}

function refusal({ status, body }: Answer, endpoint: Endpoint): FlockerError {
  if (!Check(errorBody, body)) {
    return new FlockerError(
      codeOf(undefined, status),
      `${nameOf(endpoint)} answered with status ${status} and no explanation`,
    );
  }
  const { description, errors = [], code, details } = body;
  return new FlockerError(codeOf(code, status), [description, ...errors].join(" "), {
    details: { ...details, status },
  });
}
